package proxy

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"
)

// The context of an exchange is its request's, and says where the exchange is. It
// can end when the upstream's request is there.
func TestExchangeContext(t *testing.T) {
	type key struct{}
	end := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(context.WithValue(t.Context(), key{}, "value"), end)
	defer cancel()
	x := &Exchange{in: httptest.NewRequestWithContext(ctx, "GET", "/", nil)}
	var c context.Context = (*exchangeContext)(x)
	if c.Done() != nil {
		t.Error("it can end at once")
	}
	x.rewritten = true
	if deadline, ok := c.Deadline(); !ok || !deadline.Equal(end) || c.Value(key{}) != "value" || c.Done() != ctx.Done() || c.Err() != nil {
		t.Errorf("%v", c)
	}
	if exchangeOf(c) != x {
		t.Error("the exchange is not found")
	}
	cancel()
	if <-c.Done(); c.Err() != context.Canceled || context.Cause(c) != context.Canceled {
		t.Error(c.Err())
	}
}
