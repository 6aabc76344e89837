package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"testing"
	"time"

	"gatehouse/auth"
)

// BenchmarkRoutes is the search for a request's route among many.
func BenchmarkRoutes(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			routes := make([]*Route, n)
			for i := range routes {
				p := fmt.Sprintf("/service-%d/", i)
				routes[i] = &Route{Name: p, Pattern: p, Policy: &auth.Policy{}, Upstreams: testUpstream}
			}
			table := must(NewTable(routes))
			path := fmt.Sprintf("/service-%d/orders/17", n/2)
			p := canonical{path, path}
			b.ReportAllocs()
			for b.Loop() {
				if r, _, _ := table.match("GET", "gw.example:8080", p); r == nil {
					b.Fatal("no route")
				}
			}
		})
	}
}

// What a request costs must not creep up: time says little on a busy machine,
// allocations do. The figures are those that it takes, and a little room.
func TestAllocationsOfARequest(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("api", "/api/", auth.Both)}
		s.routes[0].Policy.Renew = false
		s.routes[0].Timeout = 30 * time.Second
		s.state.AccessLog = true
	})
	for _, s := range append(g.state.table.routes, &served{}) {
		s.observer = nothing{}
	}
	g.handler.log = slog.New(slog.NewJSONHandler(io.Discard, nil))
	g.handler.access.Out = io.Discard
	g.handler.proxy.Transport = canned{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watched := &watchedContext{Context: ctx}
	r, w := browserRequest(watched), &sink{http.Header{}}
	const most = 34
	if n := testing.AllocsPerRun(200, func() { clear(w.h); g.handler.ServeHTTP(w, r) }); n > most {
		t.Errorf("a request allocates %v times, at most %d wanted", n, most)
	}
	if w.h.Get("Etag") == "" {
		t.Fatalf("not forwarded: %v", w.h)
	}
	if watched.asked > 0 {
		t.Errorf("net/http is made to make %d channels", watched.asked)
	}
}

// What the upstream is told takes no memory but for X-Forwarded-For; and now and then
// for a header, which the race detector has pools lose.
func TestAllocationsOfTheRewrite(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("api", "/api/", auth.Both)} })
	g.handler.proxy.Transport = canned{}
	n := -1.0
	g.handler.proxy.Rewrite = func(pr *httputil.ProxyRequest) {
		n = testing.AllocsPerRun(200, func() {
			rewrite(pr)
			reuse(pr.Out.Header)
		})
		rewrite(pr)
	}
	g.handler.ServeHTTP(&sink{http.Header{}}, browserRequest(t.Context()))
	if n < 0 || n > 2 {
		t.Errorf("the rewrite allocates %v times, at most 2 wanted", n)
	}
}

// watchedContext counts how often it is asked for its channel.
type watchedContext struct {
	context.Context
	asked int
}

func (w *watchedContext) Done() <-chan struct{} {
	w.asked++
	return w.Context.Done()
}
