package endpoint

import (
	"strings"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

func oauth2Introspect(c *call) (any, error) {
	i, err := c.endpoint.cfg.Engine.Introspect(c.r.Context(), token.Introspection{
		Request: c.request, Token: c.parameters["token"],
	})
	switch {
	case err != nil:
		return nil, err
	case i.Active && i.Token != nil:
		_, _ = c.presented(i.Token, nil)
		return c.accessToken(i.Token), nil
	case i.Active && i.Session != nil:
		c.outcome.Subject = i.Session.Subject
		return c.refreshToken(i.Session), nil
	}
	return map[string]any{"active": false}, nil // and no more (RFC 7662 §2.2)
}

// introspected are the claims that are told of an access token, as they stand
// in it. What else there is in it is its own reader's business.
var introspected = []string{"scope", "client_id", "exp", "iat", "nbf", "sub", "aud", "iss", "jti", "sid", "auth_time"}

func (c *call) accessToken(t *auth.Token) map[string]any {
	m := map[string]any{"active": true, "token_type": "Bearer"}
	claims := t.Claims()
	for _, name := range introspected {
		if v := claims.Lookup(name); v != nil {
			m[name] = v
		}
	}
	return m
}

func (c *call) refreshToken(s *token.Session) map[string]any {
	m := map[string]any{
		"active": true, "token_type": "refresh_token", "sub": s.Subject, "sid": s.ID,
		"exp": s.Expires.Unix(), "iat": s.Refreshed.Unix(), "auth_time": s.AuthTime.Unix(),
	}
	for name, text := range map[string]string{
		"scope": strings.Join(s.Scopes, " "), "client_id": s.ClientID, "username": s.Username, "iss": c.endpoint.cfg.Issuer,
	} {
		if text != "" {
			m[name] = text
		}
	}
	return m
}
