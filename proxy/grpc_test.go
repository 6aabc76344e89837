package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

// A gRPC client and server by hand, as far as calls need them: messages with
// five bytes in front, the status in trailers
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).

func grpcMessage(text string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(text))), text...)
}

func readGRPC(r io.Reader) (string, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	text := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(r, text)
	return string(text), err
}

// grpcEcho sends each message back as it comes, and then a status.
func grpcEcho(w http.ResponseWriter, r *http.Request) {
	flush := http.NewResponseController(w).Flush
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	_ = flush()
	for {
		text, err := readGRPC(r.Body)
		if err != nil {
			break
		}
		_, _ = w.Write(grpcMessage("re: " + text))
		_ = flush()
	}
	w.Header().Set("Grpc-Status", "0")
	w.Header().Set("Grpc-Message", "fine")
	w.Header().Set(http.TrailerPrefix+"X-User-Id", "leak") // H14
}

// grpc makes a call with that body.
func (g *gateway) grpc(ctx context.Context, path string, body io.Reader, header ...string) *http.Response {
	g.t.Helper()
	client := &http.Transport{Protocols: new(http.Protocols)}
	client.Protocols.SetUnencryptedHTTP2(true)
	g.t.Cleanup(client.CloseIdleConnections)
	r := must(http.NewRequestWithContext(ctx, http.MethodPost, g.server.URL+path, body))
	r.Header = http.Header{"Content-Type": {"application/grpc+proto"}, "Te": {"trailers"}, "Grpc-Timeout": {"10S"}}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := client.RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { res.Body.Close() })
	return res
}

// talk makes a call whose messages are still to come.
func (g *gateway) talk(ctx context.Context, path string, header ...string) (*http.Response, *io.PipeWriter) {
	g.t.Helper()
	body, send := io.Pipe()
	g.t.Cleanup(func() { send.Close() })
	return g.grpc(ctx, path, body, header...), send
}

func grpcGateway(t *testing.T, change func(*setup)) *gateway {
	return newGateway(t, func(s *setup) {
		s.scheme, s.upstream = "h2c", grpcEcho
		s.routes = []*Route{route("all", "/", auth.BearerOnly)}
		s.routes[0].Timeout = time.Second
		s.state.BodyIdleTimeout = 300 * time.Millisecond
		s.state.WriteIdleTimeout = 300 * time.Millisecond
		if change != nil {
			change(s)
		}
	})
}

// A conversation in which both sides speak when they like, with pauses longer
// than each bound that is not the stream's.
func TestGRPCStream(t *testing.T) {
	t.Parallel()
	g := grpcGateway(t, nil)
	call, send := g.talk(t.Context(), "/shop.Orders/Talk", "Authorization", "Bearer "+token(nil))
	for _, text := range []string{"one", "two", strings.Repeat("three", 30_000)} {
		go func() { _, _ = send.Write(grpcMessage(text)) }()
		if got, err := readGRPC(call.Body); got != "re: "+text || err != nil {
			t.Fatalf("%.20q %v", got, err)
		}
		time.Sleep(500 * time.Millisecond)
	}
	_ = send.Close()
	if rest, err := io.ReadAll(call.Body); len(rest) > 0 || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	if call.StatusCode != 200 || call.ProtoMajor != 2 || call.Trailer.Get("Grpc-Status") != "0" || call.Trailer.Get("Grpc-Message") != "fine" || call.Trailer.Get("X-User-Id") != "" {
		t.Errorf("%v, trailer %v", call, call.Trailer)
	}
	r := g.last()
	if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" || r.Header.Get("Grpc-Timeout") != "10S" || r.Header.Get("X-User-Id") != "alice" || r.URL.Path != "/shop.Orders/Talk" {
		t.Errorf("upstream got %s %v", r.Proto, r.Header)
	}
}

// The deadline is the client's to keep: what it gives up ends upstream too.
func TestGRPCCancelled(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	g := grpcGateway(t, func(s *setup) {
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(gone)
		}
	})
	call, _ := g.talk(t.Context(), "/a/b", "Authorization", "Bearer "+token(nil))
	_ = call.Body.Close()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Fatal("the upstream goes on")
	}
}

func TestGRPCDenials(t *testing.T) {
	t.Parallel()
	g := grpcGateway(t, func(s *setup) {
		dead := route("dead", "/dead/", auth.None)
		dead.Upstreams = []Upstream{{URL: must(url.Parse("h2c://127.0.0.1:1"))}}
		silent, scoped := route("silent", "/silent/", auth.None), route("scoped", "/scoped/", auth.BearerOnly)
		silent.Timeout, scoped.Policy.Scopes = 50*time.Millisecond, []string{"x"}
		s.routes = []*Route{route("orders", "/orders/", auth.BearerOnly), dead, silent, scoped}
		s.upstream = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	})
	for _, test := range []struct {
		path, authorization, contentType string
		code, message                    string
		status                           float64
	}{
		{"/orders/x", "", "application/grpc", "16", "token_missing: The bearer token is missing", 401},
		{"/orders/x", "Bearer " + token(map[string]any{"exp": 1}), "application/grpc+json", "16", "token_expired: The bearer token has expired", 401},
		{"/scoped/x", "Bearer " + token(nil), "application/grpc;x=y", "7", "scope_insufficient: The bearer token lacks a scope", 403},
		{"/nowhere/x", "", "Application/GRPC", "12", "route_not_found: No route matches the request", 404},
		{"/dead/x", "", "application/grpc", "14", "upstream_unavailable: The upstream cannot be reached", 502},
		{"/silent/x", "", "application/grpc", "4", "upstream_timeout: The upstream did not answer in time", 504},
	} {
		call := g.grpc(t.Context(), test.path, bytes.NewReader(grpcMessage("hi")), "Authorization", test.authorization, "Content-Type", test.contentType)
		body, err := io.ReadAll(call.Body)
		h := call.Header
		if call.StatusCode != 200 || len(body) > 0 || err != nil || h.Get("Content-Type") != "application/grpc" || h.Get("Grpc-Status") != test.code || h.Get("Grpc-Message") != test.message {
			t.Errorf("%+v: %d %v %q %v", test, call.StatusCode, h, body, err)
		}
		if h.Get("X-Request-Id") == "" || h.Get("Cache-Control") != "no-store" || test.status == 401 && h.Get("Www-Authenticate") == "" {
			t.Errorf("%+v: %v", test, h)
		}
		reason, _, _ := strings.Cut(test.message, ":")
		if line := g.accessLine(); line["path"] != test.path || line["status"] != test.status || line["reason"] != reason {
			t.Errorf("%+v: logged %v", test, line)
		}
	}
	if n := len(g.counts.requests); n != 6 || g.counts.requests[0].status != 401 {
		t.Errorf("counted %v", g.counts.requests)
	}
}

// gRPC-Web, and whatever else is no gRPC call, is answered by HTTP's statuses.
func TestGRPCIsNotEverything(t *testing.T) {
	g := grpcGateway(t, nil)
	for _, contentType := range []string{"application/grpc-web", "application/grpc-web+proto", "application/grpcx", "application/json"} {
		call := g.grpc(t.Context(), "/x", nil, "Content-Type", contentType)
		if call.StatusCode != 401 || call.Header.Get("Grpc-Status") != "" || call.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v", contentType, call.StatusCode, call.Header)
		}
	}
	r := must(http.NewRequest(http.MethodGet, g.server.URL+"/x", nil))
	r.Header.Set("Content-Type", "application/grpc")
	if res := must(clients(t)["HTTP/2"].Do(r)); res.StatusCode != 401 || res.Header.Get("Grpc-Status") != "" {
		t.Errorf("GET: %d %v", res.StatusCode, res.Header)
	}
	if speaksGRPC(http.Header{"Content-Type": {"application/grpc", "text/html"}}) {
		t.Error("one of two content types will do")
	}
	a := g.raw("POST /x HTTP/1.1\r\nHost: h\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	g.refused(a, 401, "token_missing")
}

// What ends a stream of ours from outside is a status too, and never success.
func TestGRPCStreamEndsWithItsCredential(t *testing.T) {
	t.Parallel()
	g := grpcGateway(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); _ = g.handler.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-over })
	call, send := g.talk(t.Context(), "/a/b", "Authorization", "Bearer "+token(nil))
	_, _ = send.Write(grpcMessage("one"))
	if got, err := readGRPC(call.Body); got != "re: one" {
		t.Fatal(got, err)
	}
	g.revoked.revoke(auth.KindSession, "main", "s1")
	rest, err := io.ReadAll(call.Body)
	if len(rest) > 0 || err != nil || call.Trailer.Get("Grpc-Status") != "16" || !strings.HasPrefix(call.Trailer.Get("Grpc-Message"), "token_revoked: ") {
		t.Errorf("%q %v %v", rest, err, call.Trailer)
	}
	if line := g.accessLine(); line["reason"] != "token_revoked" || line["result"] != "denied" {
		t.Errorf("%v", line)
	}
}

// An upstream that breaks off in the middle is no success either, and one that
// had said how long its answer is leaves the client with a reset.
func TestD06GRPCUpstreamBreaksOff(t *testing.T) {
	t.Parallel()
	g := grpcGateway(t, func(s *setup) {
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			switch r.URL.Path {
			case "/at/once":
				panic(http.ErrAbortHandler)
			case "/of/length":
				w.Header().Set("Content-Length", "10005")
			case "/a/page":
				w.Header().Set("Content-Type", "text/html")
			}
			_, _ = w.Write(grpcMessage(strings.Repeat("x", 10_000))[:7000])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	call, _ := g.talk(t.Context(), "/a/b", "Authorization", "Bearer "+token(nil))
	if _, err := io.ReadAll(call.Body); err != nil || call.Trailer.Get("Grpc-Status") != "14" {
		t.Errorf("%v %v", err, call.Trailer)
	}
	for _, path := range []string{"/of/length", "/a/page"} {
		call, _ = g.talk(t.Context(), path, "Authorization", "Bearer "+token(nil))
		if _, err := io.ReadAll(call.Body); err == nil || !strings.Contains(err.Error(), "INTERNAL_ERROR") {
			t.Errorf("%s ended with %v, trailer %v", path, err, call.Trailer)
		}
	}
	// Clients of HTTP/1.1 do not look at trailers, whatever the answer is.
	old := must(http.NewRequest(http.MethodPost, g.server.URL+"/a/b", nil))
	old.Header.Set("Authorization", "Bearer "+token(nil))
	res := must(clients(t)["HTTP/1.1"].Do(old))
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("HTTP/1.1: ended well: %v", res)
	}
	// The client's body is let go of then, which is no fault of the client's.
	call, _ = g.talk(t.Context(), "/at/once", "Authorization", "Bearer "+token(nil))
	if h := call.Header; h.Get("Grpc-Status") != "14" || !strings.HasPrefix(h.Get("Grpc-Message"), "upstream_unavailable: ") {
		t.Errorf("%v", h)
	}
}

// A call whose answer begins when all messages are there has the same patience
// with its client.
func TestGRPCClientStream(t *testing.T) {
	t.Parallel()
	g := grpcGateway(t, func(s *setup) {
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", "0")
			if err != nil {
				w.Header().Set("Grpc-Status", "1")
			}
		}
	})
	body, send := io.Pipe()
	go func() {
		for range 2 {
			_, _ = send.Write(grpcMessage("one"))
			time.Sleep(500 * time.Millisecond) // longer than the bound of bodies
		}
		_ = send.Close()
	}()
	if call := g.grpc(t.Context(), "/a/b", body, "Authorization", "Bearer "+token(nil)); call.Header.Get("Grpc-Status") != "0" {
		t.Errorf("%v", call.Header)
	}
}

// That is for those who have said who they are.
func TestD01GRPCOfAStranger(t *testing.T) {
	t.Parallel()
	g := grpcGateway(t, func(s *setup) {
		s.routes[0].Policy.Mode = auth.None
		s.upstream = func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
	})
	call, _ := g.talk(t.Context(), "/a/b")
	if line := g.accessLine(); call.Header.Get("Grpc-Status") != "4" || line["reason"] != "request_timeout" {
		t.Errorf("%v, logged %v", call.Header, line)
	}
}

// gRPC percent-encodes what is not printable ASCII, and the percent sign: no
// message of ours has any. Each status that we answer with has a code, which is
// not that of success.
func TestGRPCCodes(t *testing.T) {
	for _, r := range auth.Reasons() {
		if strings.ContainsFunc(r.String()+r.Title(), func(c rune) bool { return c < ' ' || c > '~' || c == '%' }) {
			t.Errorf("%s: %q would have to be encoded", r, r.Title())
		}
		if code := grpcCodes[r.Status()]; r != auth.OK && code == 0 {
			t.Errorf("%s: %d has no code", r, r.Status())
		}
	}
	for _, row := range []struct {
		code     int
		statuses []int
	}{ // 414, 431, 501, 505: faults in the request's form
		{1, []int{499}},
		{3, []int{400, 414}},
		{4, []int{408, 504}},
		{7, []int{403}},
		{8, []int{413, 429, 431}},
		{12, []int{404, 405, 501, 505}},
		{13, []int{500}},
		{14, []int{502, 503}},
		{16, []int{401}},
	} {
		for _, status := range row.statuses {
			if grpcCodes[status] != row.code {
				t.Errorf("%d is %d, want %d", status, grpcCodes[status], row.code)
			}
		}
	}
}
