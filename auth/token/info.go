package token

import (
	"context"
	"time"

	"gatehouse/auth"
)

// Info asks what the bearer token in the caller's credentials is.
type Info struct{ Request }

// Info returns the token if a route would accept it, else the reason why not.
func (e *Engine) Info(ctx context.Context, i Info) (*auth.Token, error) {
	return e.verify(ctx, i.Caller.Credentials, e.cfg.Now())
}

// verify takes a bearer token through the checks of the data plane: there is no
// other answer to whether a token is good.
func (e *Engine) verify(ctx context.Context, c auth.Credentials, now time.Time) (*auth.Token, error) {
	d := e.cfg.Gate.Resolve(ctx, &e.policy, c, now)
	if d.Reason != auth.OK {
		return nil, &Error{Reason: d.Reason}
	}
	return d.Principal.Token, nil
}
