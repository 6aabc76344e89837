package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

func TestAccessLog(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("orders", "/orders/", auth.Both)} })
	bearer := token(nil)
	g.get("/orders/caf%c3%a9%2c?secret=q", "Api-Key: "+apiKey, "Authorization: Bearer "+bearer)
	line := g.accessLine()
	for key, want := range map[string]any{
		"level": "INFO", "msg": "request", "method": "GET", "host": "gw.example", "path": "/orders/caf%C3%A9%2C", "route": "orders", "status": 200.0,
		"bytes": 5.0, "client_ip": "127.0.0.1", "api_key_id": "web", "sub": "alice", "jti": "j1", "result": "allowed", "reason": "ok",
	} {
		if line[key] != want {
			t.Errorf("%s: %v, want %v", key, line[key], want)
		}
	}
	if line["duration_ms"].(float64) < line["upstream_ms"].(float64) || line["upstream_ms"].(float64) <= 0 {
		t.Errorf("times: %v", line)
	}
	// Keys and order are the contract's.
	want := strings.Fields("time level msg request_id method host path route status bytes duration_ms upstream_ms client_ip api_key_id sub jti result reason")
	var keys []string
	d := json.NewDecoder(bytes.NewReader([]byte(g.log.String())))
	for depth := 0; ; {
		tok, err := d.Token()
		if err != nil || depth == 1 && tok == json.Delim('}') {
			break
		}
		if tok == json.Delim('{') {
			depth++
			continue
		}
		keys = append(keys, tok.(string))
		_, _ = d.Token()
	}
	if !slices.Equal(keys, want) {
		t.Errorf("keys: %q", keys)
	}
	for _, secret := range []string{bearer, apiKey, "secret=q"} {
		if strings.Contains(g.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func TestAccessLogOfADenial(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("orders", "/orders/", auth.BearerOnly)} })
	g.get("/orders/", "Authorization: Bearer a.b.c")
	if line := g.accessLine(); line["result"] != "denied" || line["reason"] == "ok" || line["status"] != 401.0 || line["sub"] != "" || line["upstream_ms"] != 0.0 {
		t.Errorf("%v", line)
	}
	g = newGateway(t, func(s *setup) { s.state.AccessLog = false })
	g.get("/")
	<-g.done
	if g.log.String() != "" {
		t.Errorf("switched off: %s", g.log)
	}
	g = newGateway(t, nil)
	g.handler.log = slog.New(slog.NewJSONHandler(g.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	g.get("/")
	<-g.done
	if g.log.String() != "" {
		t.Errorf("below the log's level: %s", g.log)
	}
}

func TestG01LogInjection(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("all", "/", auth.BearerOnly)} })
	g.get("/a%0d%0a%1b[31mX%c2%9b"+strings.Repeat("y", 5000), "Authorization: Bearer "+token(nil))
	line := g.accessLine()
	path := line["path"].(string)
	if len(path) > 2048 || strings.ContainsAny(path, "\r\n\x1b\u009b") || strings.Count(g.log.String(), "\n") > 2 {
		t.Errorf("%q", path)
	}
	for in, want := range map[string]string{
		"plain": "plain", "a\nb": "a\ufffdb", "\u009b31m": "\ufffd31m", "a\xffb": "a\ufffdb", "é": "é", "\x7f": "\ufffd", strings.Repeat("x", 9): "xxxxxxxx",
	} {
		if got := loggable(in, 8); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestG03NoDetailToClients(t *testing.T) {
	g := newGateway(t, nil)
	a := g.get("/a%5cb")
	if strings.Contains(a.body, "backslash") || strings.Contains(a.body, "detail") {
		t.Errorf("%s", a.body)
	}
	<-g.done
	if !strings.Contains(g.log.String(), `"level":"DEBUG","msg":"request failed"`) || !strings.Contains(g.log.String(), "path: backslash") {
		t.Errorf("%s", g.log)
	}
}

// panicking breaks where nobody expects it.
type panicking struct{ early bool }

func (p panicking) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.early {
		panic("defect")
	}
	return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, ContentLength: 9, Request: r, Body: io.NopCloser(panicking{})}, nil
}

func (panicking) Read([]byte) (int, error) { panic("defect") }

func TestD10Panic(t *testing.T) {
	g := newGateway(t, nil)
	g.handler.proxy.Transport = panicking{early: true}
	g.refused(g.get("/"), http.StatusInternalServerError, "internal_error")
	if line := g.accessLine(); line["status"] != 500.0 || line["result"] != "error" || line["reason"] != "internal_error" {
		t.Errorf("logged %v", line)
	}
	if !strings.Contains(g.log.String(), `"panic":"defect","stack":"goroutine`) || len(g.counts.requests) != 1 {
		t.Errorf("%v %s", g.counts.requests, g.log)
	}

	g = newGateway(t, nil)
	g.handler.proxy.Transport = panicking{}
	if res, err := http.Get(g.server.URL); err == nil {
		if _, err = io.ReadAll(res.Body); err == nil {
			t.Error("a clean end after a panic")
		}
	}
	if line := g.accessLine(); line["reason"] != "internal_error" || len(g.counts.requests) != 1 {
		t.Errorf("logged %v", line)
	}
}

// failing is an upstream that cannot be had, and keeps the request.
type failing struct{ r *http.Request }

func (f *failing) RoundTrip(r *http.Request) (*http.Response, error) {
	f.r = r
	return nil, errors.New("down")
}

// An upload that came to nothing leaves no timer and no context, which what has no
// body does not need.
func TestNothingIsLeftOfAnExchange(t *testing.T) {
	g, up := newGateway(t, func(s *setup) { s.routes[0].Timeout = time.Minute }), &failing{}
	g.handler.proxy.Transport = up
	r := httptest.NewRequest("POST", "/", strings.NewReader("body"))
	g.handler.ServeHTTP(httptest.NewRecorder(), r)
	if x := exchangeOf(up.r.Context()); x.wait.timer.Stop() || up.r.Context().Err() == nil {
		t.Error("the wait or the context goes on")
	}
	g.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if x := exchangeOf(up.r.Context()); x.wait.timer != nil || x.cancel != nil {
		t.Error("a request without a body has a timer or a context of its own")
	}
}

func TestD10PanicInTheBody(t *testing.T) {
	g := newGateway(t, nil)
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/", io.NopCloser(panicking{}))
	r.ContentLength = -1
	g.handler.ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || !strings.Contains(g.log.String(), "panicked: defect") {
		t.Errorf("%d %s", w.Code, g.log)
	}
}

func TestAbortIsPassedOn(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes[0].Upstreams = script(t, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx") })
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("panic %v", p)
		}
	}()
	ctx := context.WithValue(context.Background(), http.ServerContextKey, g.server.Config)
	g.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
}

func TestNoSecondAnswer(t *testing.T) {
	g := newGateway(t, nil)
	w := httptest.NewRecorder()
	x := newExchange(g.state, httptest.NewRequest("GET", "/", nil), time.Now())
	x.handler, x.writer = g.handler, w
	x.WriteHeader(http.StatusOK)
	defer func() {
		if p := recover(); p != http.ErrAbortHandler || w.Body.Len() > 0 {
			t.Errorf("panic %v, wrote %q", p, w.Body)
		}
	}()
	x.answer(&problem{reason: auth.UpstreamUnavailable})
}

// The state is loaded once: a request ends on the configuration that it began
// with.
func TestStateIsLoadedOnce(t *testing.T) {
	g := newGateway(t, nil)
	loads := 0
	g.handler.state = func() *State { loads++; return g.state }
	g.get("/")
	if loads != 1 {
		t.Errorf("%d", loads)
	}
}

func TestHTTP2(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("all", "/", auth.BearerOnly)}
		s.upstream = echo
	})
	server := httptest.NewUnstartedServer(g.handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	r := must(http.NewRequest("POST", server.URL+"/x?a;b", strings.NewReader("body")))
	r.Header.Set("Authorization", "Bearer "+token(nil))
	r.Header.Set("X-User-Id", "mallory")
	r.Trailer = http.Header{"X-User-Id": {"mallory"}} // T08
	r.ContentLength = -1
	res := must(server.Client().Do(r))
	defer res.Body.Close()
	if body := must(io.ReadAll(res.Body)); res.ProtoMajor != 2 || res.StatusCode != 200 || string(body) != "body" || res.Header.Get("Authorization") == "" {
		t.Errorf("%d %d %q %v", res.ProtoMajor, res.StatusCode, body, res.Header)
	}
	if got := g.last(); got.Header.Get("X-User-Id") != "alice" || got.RequestURI != "/x?a;b" || got.Header.Get("X-Forwarded-Proto") != "https" || got.ProtoMajor != 1 || len(got.Trailer) > 0 {
		t.Errorf("upstream got %+v", got)
	}
	res = must(server.Client().Get(server.URL + "/a%2fb"))
	defer res.Body.Close()
	if res.StatusCode != 400 {
		t.Errorf("%d", res.StatusCode)
	}
}

func TestClock(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("all", "/", auth.BearerOnly)}
		s.now = func() time.Time { return time.Now().Add(time.Hour) }
	})
	g.refused(g.get("/", "Authorization: Bearer "+token(nil)), http.StatusUnauthorized, "token_expired")
}
