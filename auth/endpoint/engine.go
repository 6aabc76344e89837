package endpoint

import (
	"context"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// Engine does what the endpoints are asked for. Errors of its methods are
// *token.Error; any other is a defect, answered 500.
type Engine interface {
	grants
	exchanges
	inquiries
}

type grants interface {
	Password(ctx context.Context, g token.PasswordGrant) (token.Grant, error)
	Refresh(ctx context.Context, g token.RefreshGrant) (token.Grant, error)
	ClientCredentials(ctx context.Context, g token.ClientCredentialsGrant) (token.Grant, error)
}

type exchanges interface {
	ClientSecret(ctx context.Context, g token.ClientSecretGrant) (token.Grant, error)
	Exchange(ctx context.Context, x token.Exchange) (token.Grant, error)
	Logout(ctx context.Context, l token.Logout) (*auth.Token, error)
}

type inquiries interface {
	Revoke(ctx context.Context, r token.Revocation) error
	Introspect(ctx context.Context, i token.Introspection) (token.Introspected, error)
	Info(ctx context.Context, i token.Info) (*auth.Token, error)
}

var _ Engine = (*token.Engine)(nil)
