package proxy

import (
	"context"
	"time"
)

// exchangeContext is the context of a request, by which its exchange is found.
//
// The first that ReverseProxy does is to look whether it can end at all. net/http
// makes a channel when it is asked that, which nobody needs if all goes well. So it
// cannot end as long as ReverseProxy has not asked for the upstream's request:
// nothing has begun by then that could be ended.
type exchangeContext Exchange

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *Exchange { return ctx.Value(exchangeKey{}).(*Exchange) }

// Deadline is the request's.
func (c *exchangeContext) Deadline() (time.Time, bool) { return c.in.Context().Deadline() }

// Done is the request's, once there is something that could end.
func (c *exchangeContext) Done() <-chan struct{} {
	if !c.rewritten {
		return nil
	}
	return c.in.Context().Done()
}

// Err is the request's.
func (c *exchangeContext) Err() error { return c.in.Context().Err() }

// Value is the exchange, or the request's.
func (c *exchangeContext) Value(key any) any {
	if key == (exchangeKey{}) {
		return (*Exchange)(c)
	}
	return c.in.Context().Value(key)
}
