package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

const upgrade = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"

// switching is an upstream that switches protocols and then sends back every
// line it gets; to one it has more to say, for 1.6 s.
func switching(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		_, _ = io.WriteString(w, "no upgrade")
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-User-Id: leak\r\nAuthorization: leak\r\n\r\n")
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, line)
		for n := 0; line == "talk\n" && n < 4; n++ {
			time.Sleep(400 * time.Millisecond)
			_, _ = io.WriteString(conn, "x")
		}
	}
}

func webSocketGateway(t *testing.T, mode auth.Mode) *gateway {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("ws", "/ws", mode), route("all", "/", mode)}
		s.routes[0].WebSocket = true
		s.routes[0].Timeout = 100 * time.Millisecond
		s.upstream = switching
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = g.handler.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return g
}

// open opens a WebSocket and checks that it carries bytes both ways.
func (g *gateway) open(lines ...string) (net.Conn, *bufio.Reader, *http.Response) {
	g.t.Helper()
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	g.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, upgrade+strings.Join(append(lines, ""), "\r\n")+"\r\n")
	r := bufio.NewReader(conn)
	res := must(http.ReadResponse(r, nil))
	if res.StatusCode != http.StatusSwitchingProtocols {
		g.t.Fatalf("%d", res.StatusCode)
	}
	for _, line := range []string{"one\n", "two\n"} {
		_, _ = io.WriteString(conn, line)
		if got, err := r.ReadString('\n'); got != line {
			g.t.Fatalf("%q %v", got, err)
		}
		time.Sleep(60 * time.Millisecond) // the route's timeout must not end it
	}
	return conn, r, res
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	g := webSocketGateway(t, auth.BearerOnly)
	conn, _, res := g.open("Authorization: Bearer "+token(nil), "X-User-Id: mallory")
	if h := g.last().Header; h.Get("X-User-Id") != "alice" || h.Get("Sec-Websocket-Key") != "x" || h.Get("Authorization") != "" {
		t.Errorf("upstream got %v", h)
	}
	if res.Header.Get("X-User-Id")+res.Header.Get("Authorization") != "" || res.Header.Get("X-Request-Id") == "" { // L02: no token either
		t.Errorf("client got %v", res.Header)
	}
	conn.Close()
	if line := g.accessLine(); line["status"] != 101.0 || line["reason"] != "ok" {
		t.Errorf("logged %v", line)
	}
	if n := len(g.handler.ongoing.by); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestP16OtherUpgrades(t *testing.T) {
	g := webSocketGateway(t, auth.None)
	for target, upgrades := range map[string][]string{
		"/ws":    {"Upgrade: h2c", "Upgrade: foo, websocket", "Upgrade: websocket, foo", "Upgrade: websocket\r\nUpgrade: h2c", "Upgrade: websocket/13", "Upgrade: TLS/1.0"},
		"/plain": {"Upgrade: websocket", "Upgrade: h2c"},
	} {
		for _, line := range upgrades {
			a := g.raw("GET " + target + " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings, close\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n" + line + "\r\n\r\n")
			h := g.last().Header
			if a.StatusCode != 200 || a.body != "no upgrade" || h.Get("Upgrade")+h.Get("Http2-Settings") != "" || strings.Contains(strings.ToLower(h.Get("Connection")), "upgrade") {
				t.Errorf("%s %q: %d, upstream got %v", target, line, a.StatusCode, h)
			}
		}
	}
	for _, request := range []string{
		"POST /ws HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
		"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
		"GET /ws HTTP/1.0\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
	} {
		if a := g.raw(request); a.StatusCode != 200 || g.last().Header.Get("Upgrade") != "" {
			t.Errorf("%q: %d %v", request, a.StatusCode, g.last().Header)
		}
	}
}

func TestP17WebSocketEndsWithItsCredential(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		lines        []string
		end          func(*gateway)
	}{
		{
			"token revoked", "token_revoked",
			[]string{"Authorization: Bearer " + token(nil)},
			func(g *gateway) { g.revoked.revoke(auth.KindSession, "main", "s1") },
		},
		{
			"token expired", "token_expired",
			[]string{"Authorization: Bearer " + token(nil)},
			func(g *gateway) { g.pass(10 * time.Minute) },
		},
		{
			"API key revoked", "api_key_invalid",
			[]string{"Api-Key: " + apiKey},
			func(g *gateway) { g.revoked.revoke(auth.KindAPIKey, "", "web") },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := webSocketGateway(t, auth.Any)
			_, r, _ := g.open(c.lines...)
			c.end(g)
			if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
				t.Errorf("%q %v", rest, err)
			}
			if line := g.accessLine(); line["reason"] != c.reason || line["status"] != 101.0 {
				t.Errorf("logged %v", line)
			}
		})
	}
}

func TestRunEndsWebSockets(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("ws", "/ws", auth.None)}
		s.routes[0].WebSocket = true
		s.upstream = switching
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- g.handler.Run(ctx) }()
	_, r, _ := g.open()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	g.handler.ongoing.mu.Lock()
	if n := len(g.handler.ongoing.by); n != 0 {
		t.Errorf("Run has returned before %d connections", n)
	}
	g.handler.ongoing.mu.Unlock()
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection lives on")
	}
	// One that comes too late ends at once.
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_, _ = io.WriteString(conn, upgrade+"\r\n")
	if _, err := io.ReadAll(conn); err != nil {
		t.Error(err)
	}
}

func TestUpstreamSwitchesToAnotherProtocol(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("ws", "/ws", auth.None)}
		s.routes[0].WebSocket = true
		s.routes[0].Upstreams = script(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
	})
	if a := g.raw(upgrade + "\r\n"); a.StatusCode != http.StatusBadGateway {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestWebSocketMeetsANewConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*gateway, *setup)
		reason string
	}{
		"unchanged":     {func(*gateway, *setup) {}, "ok"},
		"route is gone": {func(_ *gateway, s *setup) { s.routes[0].Pattern = "/other" }, "route_not_found"},
		"scope needed":  {func(_ *gateway, s *setup) { s.routes[0].Policy.Scopes = []string{"x"} }, "scope_insufficient"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := &setup{}
			fresh := func(s *setup) {
				s.routes = []*Route{route("ws", "/ws", auth.BearerOnly)}
				s.routes[0].WebSocket = true
				s.upstream = switching
				first = s
			}
			g := newGateway(t, fresh)
			conn, r, _ := g.open("Authorization: Bearer " + token(nil))
			g.handler.ongoing.recheck(t.Context(), g.state, time.Now())

			next := first.state
			first.routes = []*Route{route("ws", "/ws", auth.BearerOnly)}
			c.change(g, first)
			first.routes[0].Policy.Issuers = []*auth.Issuer{g.issuer}
			first.routes[0].Upstreams = testUpstream
			next.Routes = first.routes
			state := must(NewState(next))
			g.handler.ongoing.recheck(t.Context(), state, time.Now())
			if c.reason == "ok" {
				g.handler.ongoing.mu.Lock()
				for _, last := range g.handler.ongoing.by {
					if last != state {
						t.Error("the old configuration is kept for it, and the whole decision taken again each time")
					}
				}
				g.handler.ongoing.mu.Unlock()
				g.revoked.stale = true // not the credential's fault
				g.handler.ongoing.recheck(t.Context(), must(NewState(next)), time.Now())
				_, _ = io.WriteString(conn, "still here\n")
				if line, err := r.ReadString('\n'); err != nil {
					t.Errorf("%q %v", line, err)
				}
				conn.Close()
			} else if _, err := r.ReadByte(); err == nil {
				t.Error("the connection lives on")
			}
			if line := g.accessLine(); line["reason"] != c.reason {
				t.Errorf("logged %v", line)
			}
		})
	}
}

// A configuration that changes nothing for it leaves a connection alone, in
// whatever way its token came.
func TestWebSocketByCookieOutlivesAReload(t *testing.T) {
	var next StateConfig
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("ws", "/ws", auth.BearerOnly)}
		s.routes[0].WebSocket = true
		s.state.Cookies = []string{cookieName}
		s.upstream = switching
		next = s.state
	})
	g.issuer.Cookie = cookieName
	conn, r, _ := g.open("Cookie: " + cookieName + "=" + token(nil))
	next.Gate, next.Observer, next.Renewal = g.state.gate, func(string) Observer { return g.counts }, g.state.renewal
	next.Routes = []*Route{route("ws", "/ws", auth.BearerOnly)}
	next.Routes[0].WebSocket = true
	next.Routes[0].Policy.Issuers = []*auth.Issuer{g.issuer}
	next.Routes[0].Upstreams = testUpstream
	g.handler.ongoing.recheck(t.Context(), must(NewState(next)), time.Now())
	_, _ = io.WriteString(conn, "still here\n")
	if line, err := r.ReadString('\n'); err != nil {
		t.Errorf("%q %v", line, err)
	}
	conn.Close()
}

func TestD07NothingIsLeftBehind(t *testing.T) {
	g := webSocketGateway(t, auth.None)
	before := runtime.NumGoroutine()
	for range 5 {
		conn, _, _ := g.open()
		conn.Close()
		<-g.done
		half := must(net.Dial("tcp", g.server.Listener.Addr().String()))
		_, _ = io.WriteString(half, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
		half.Close()
		<-g.done
	}
	g.handler.transport.CloseIdleConnections()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
