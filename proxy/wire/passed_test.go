package wire

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// passage is a request that gets through, and how it is understood.
type passage struct {
	name, raw string
	want      seen
}

// passes sends each request with another behind it: both come through however
// they are cut.
func passes(t *testing.T, rows ...passage) {
	t.Helper()
	after := seen{"GET", "/next", "h", http.Header{}, ""}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var h recorder
			c := dial(t, serve(t, testConfig, &h))
			c.send(row.raw + next)
			if got := []seen{c.echo(), c.echo()}; !sameRequests(got, []seen{row.want, after}) {
				t.Errorf("got %v\nwant %v and the next", got, row.want)
			}
			check := func(pieces ...[]byte) {
				t.Helper()
				if got, f := understood(t, testConfig, pieces...); f != nil || !sameRequests(got, []seen{row.want, after}) {
					t.Fatalf("cut after %d: got %v, fault %+v", len(pieces[0]), got, f)
				}
			}
			raw := row.raw + next
			check(bytewise(raw)...)
			for i := 0; i < len(raw); i += 1 + len(raw)/1000 {
				check([]byte(raw[:i]), []byte(raw[i:]))
			}
		})
	}
}

func TestPassed(t *testing.T) {
	passes(t,
		passage{"plain", get + "\r\n", seen{"GET", "/", "h", http.Header{}, ""}},
		passage{"values", get + "A:\tb ä\t \r\nB:\r\na: c\r\n\r\n", seen{"GET", "/", "h", http.Header{"A": {"b ä", "c"}, "B": {""}}, ""}},
		passage{"other methods", "M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n", seen{"M-SEARCH", "/", "h", http.Header{}, ""}},
		passage{"HTTP/1.0", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", seen{"GET", "/a", "", http.Header{"Connection": {"keep-alive"}}, ""}},
		passage{"query", "GET /%41?a=1;b=%zz&|\\^ HTTP/1.1\r\nHost: h:80\r\n\r\n", seen{"GET", "/%41?a=1;b=%zz&|\\^", "h:80", http.Header{}, ""}},
		passage{"two slashes", "GET //a HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", seen{"GET", "//a", "[::1]:80", http.Header{}, ""}},
		passage{"absolute-form", "GET HTTP://H:80/a?b HTTP/1.1\r\nHost: h:80\r\n\r\n", seen{"GET", "HTTP://H:80/a?b", "H:80", http.Header{}, ""}},
		passage{"empty line before", "\r\n" + get + "\r\n", seen{"GET", "/", "h", http.Header{}, ""}},
		passage{"length", post + "Content-Length: 004 \r\n\r\nb\r\n\r", seen{"POST", "/", "h", http.Header{"Content-Length": {"004"}}, "b\r\n\r"}},
		passage{"two digits", post + "Content-Length:\t12\t\r\n\r\n012345678901", seen{"POST", "/", "h", http.Header{"Content-Length": {"12"}}, "012345678901"}},
		passage{"length 0", post + "content-length:0\r\n\r\n", seen{"POST", "/", "h", http.Header{"Content-Length": {"0"}}, ""}},
		passage{"GET with body", get + "Content-Length: 1\r\n\r\nx", seen{"GET", "/", "h", http.Header{"Content-Length": {"1"}}, "x"}},
		passage{"chunks", post + "transfer-encoding: chunked\r\n\r\n" + chunked("abc", "0123456789abcdef", "\r\n0\r\n\r\n"), seen{"POST", "/", "h", http.Header{}, "abc0123456789abcdef\r\n0\r\n\r\n"}},
		passage{"no chunk", post + "Transfer-Encoding:chunked \r\n\r\n000\r\n\r\n", seen{"POST", "/", "h", http.Header{}, ""}},
		passage{"chunk sizes", post + "Transfer-Encoding: chunked\r\n\r\n000000000000001\r\na\r\nA\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", seen{"POST", "/", "h", http.Header{}, "a01234567890123456789"}},
		passage{"long extension", post + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", maxChunkExtra-1) + "\r\nx\r\n0\r\n\r\n", seen{"POST", "/", "h", http.Header{}, "x"}}, // and the last CR counts
		passage{"chunk extensions", post + "Transfer-Encoding: chunked\r\n\r\n1;a=\"b;\tc\"\r\nx\r\n0;z\r\n\r\n", seen{"POST", "/", "h", http.Header{}, "x"}},
		passage{"as long as framing", get + "Hose: a\r\nexpecT-Continues: b\r\nTransfer-Encodinh: chunked\r\nContent-Lengti: 4\r\nTraileS: a\r\nExpecu: b\r\n\r\n", seen{"GET", "/", "h", http.Header{"Hose": {"a"}, "Expect-Continues": {"b"}, "Transfer-Encodinh": {"chunked"}, "Content-Lengti": {"4"}, "Trailes": {"a"}, "Expecu": {"b"}}, ""}},
		passage{"large header", get + "A: " + strings.Repeat("a", 9000) + "\r\nTrailer: a\r\n\r\n", seen{"GET", "/", "h", http.Header{"A": {strings.Repeat("a", 9000)}}, ""}},
	)
}

func TestT08RequestTrailers(t *testing.T) {
	passes(t,
		passage{"trailers", post + "Trailer: Authorization, Content-Length\r\nTransfer-Encoding: chunked\r\ntRAILER: X-User-Id\r\n\r\n1\r\na\r\n0\r\nAuthorization: Bearer x\r\nContent-Length:\r\nX-User-Id: root\r\n\r\n", seen{"POST", "/", "h", http.Header{}, "a"}},
		passage{"trailer, no body", get + "Trailer: X-User-Id\r\n\r\n", seen{"GET", "/", "h", http.Header{}, ""}},
	)
}

func TestH05NearNames(t *testing.T) {
	passes(t,
		passage{"near names", get + "X-User-Id-: a\r\nX--User-Id: b\r\n\r\n", seen{"GET", "/", "h", http.Header{"X-User-Id-": {"a"}, "X--User-Id": {"b"}}, ""}},
	)
}

func TestKeepAliveAndPipelining(t *testing.T) {
	var h recorder
	c := dial(t, serve(t, testConfig, &h))
	for i := range 50 {
		c.send(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i))
		if got := c.echo(); got.Target != fmt.Sprintf("/%d", i) {
			t.Fatalf("request %d understood as %v", i, got)
		}
	}
	var all strings.Builder
	for i := range 200 {
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n%05d", i, i)
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%s", i, chunked(fmt.Sprint(i)))
	}
	go io.WriteString(c, all.String())
	for i := range 200 {
		one, two := c.echo(), c.echo()
		if one.Body != fmt.Sprintf("%05d", i) || two.Body != fmt.Sprint(i) || one.Target != two.Target {
			t.Fatalf("requests %d understood as %v and %v", i, one, two)
		}
	}
}

// The next request often comes while net/http still watches for the client's
// going away.
func TestBusyClients(t *testing.T) {
	var h recorder
	addr := serve(t, testConfig, &h)
	var clients sync.WaitGroup
	for range 8 {
		c := dial(t, addr)
		clients.Go(func() {
			for i := range 300 {
				if _, err := fmt.Fprintf(c, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", i); err != nil {
					t.Error(err)
					return
				}
				resp, err := http.ReadResponse(c.r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				if want := fmt.Sprintf(`"Target":"/%d"`, i); err != nil || !strings.Contains(string(body), want) {
					t.Errorf("answer %s %q, error %v; want %s", resp.Status, body, err, want)
					return
				}
			}
		})
	}
	clients.Wait()
}

// A head that comes in one piece is neither copied nor costs an allocation.
func TestHeadAllocatesNothing(t *testing.T) {
	c := scripted(t, testConfig)
	c.Conn = &endless{request: typical}
	c.in.conn = c.Conn
	p := make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() { c.Read(p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A request at fault that comes while the handler of the one before it runs
// is a fault of its own only.
func TestFaultyRequestComesEarly(t *testing.T) {
	started, goOn := make(chan struct{}), make(chan struct{})
	var h recorder
	addr := serve(t, testConfig, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			started <- struct{}{}
			<-goOn
			if f := FaultOf(r.Context()); f != nil || r.Context().Err() != nil {
				t.Errorf("the first request has fault %+v, context %v", f, r.Context().Err())
			}
		}
		h.ServeHTTP(w, r)
	}))
	for _, split := range []int{0, 1, 5} { // bytes that are there when the handler begins
		c := dial(t, addr)
		bad := "GET /bad HTTP/1.1\r\nX_Y: z\r\n\r\n"
		c.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n" + bad[:split])
		<-started
		c.send(bad[split:])
		goOn <- struct{}{}
		if got := c.echo(); got.Target != "/slow" {
			t.Errorf("understood %v", got)
		}
		if resp, body := c.answer("GET"); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("answer %s %q, want 400", resp.Status, body)
		}
		c.wantClosed()
	}
}

func TestLargeBodies(t *testing.T) {
	addr := serve(t, testConfig, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	}))
	body := make([]byte, 8<<20)
	rand.Read(body)
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"length":  func(r io.Reader) io.Reader { return r },
		"chunked": func(r io.Reader) io.Reader { return io.MultiReader(r) }, // of no known length
	} {
		for range 3 {
			resp, err := http.Post("http://"+addr.String(), "", wrap(bytes.NewReader(body)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%s: %d bytes came back, error %v", name, len(got), err)
			}
		}
	}
}

func TestS09ExpectContinue(t *testing.T) {
	var h recorder
	c := dial(t, serve(t, testConfig, &h))
	for range 2 {
		c.send(post + "Content-Length: 4\r\nExpect: 100-Continue\r\n\r\n")
		if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != http.StatusContinue {
			t.Fatalf("answer %v, error %v; want 100", resp, err)
		}
		c.send("body")
		if got := c.echo(); got.Body != "body" {
			t.Errorf("understood %v", got)
		}
	}
}

func TestClientAbortIsNoticed(t *testing.T) {
	started, cancelled := make(chan struct{}), make(chan struct{})
	addr := serve(t, testConfig, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		started <- struct{}{}
		<-r.Context().Done()
		cancelled <- struct{}{}
	}))
	for _, raw := range []string{get + "\r\n", post + "Content-Length: 1\r\n\r\nx", post + "Transfer-Encoding: chunked\r\n\r\n" + chunked("a")} {
		c := dial(t, addr)
		c.send(raw)
		<-started
		c.Close()
		select {
		case <-cancelled:
		case <-time.After(20 * time.Second):
			t.Fatalf("%q: the handler was not told", raw)
		}
	}
}

// The answer to a body that goes wrong under way is ours, also behind a
// ReverseProxy: the context is cancelled too, yet the fault is known by then.
func TestS05BodyFaultBehindProxy(t *testing.T) {
	got := make(chan error, 1)
	up := serve(t, testConfig, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	}))
	target := &url.URL{Scheme: "http", Host: up.String()}
	errs := make(chan error, 1)
	addr := serve(t, testConfig, &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			errs <- err
			answerFault(w, FaultOf(r.Context()))
		},
	})
	c := dial(t, addr)
	c.send(post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0x3\r\nabc\r\n0\r\n\r\n" + next)
	if resp, body := c.answer("POST"); resp.StatusCode != http.StatusBadRequest || !resp.Close {
		t.Errorf("answer %s %q", resp.Status, body)
	}
	c.wantClosed()
	if err := <-got; err == nil {
		t.Error("the upstream read the body to a clean end")
	}
	t.Log(<-errs)
}

// Read itself says what is wrong, for a handler that reads the body.
func TestBodyFaultIsTheReadError(t *testing.T) {
	errs := make(chan error, 1)
	addr := serve(t, testConfig, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		errs <- err
	}))
	dial(t, addr).send(post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n")
	if f, ok := errors.AsType[*Fault](<-errs); !ok || f.Status != http.StatusBadRequest {
		t.Errorf("fault %+v", f)
	}
}

// A handler that has answered before it meets the fault is not answered for,
// and the connection ends.
func TestS05BodyFaultAfterTheAnswer(t *testing.T) {
	addr := serve(t, testConfig, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.WriteString(w, "early")
		http.NewResponseController(w).Flush()
		io.Copy(io.Discard, r.Body)
	}))
	c := dial(t, addr)
	c.send(post + "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n" + next)
	if resp, body := c.answer("POST"); resp.StatusCode != http.StatusOK || body != "early" {
		t.Errorf("answer %s %q", resp.Status, body)
	}
	c.wantClosed()
}

// S10: what follows an early answer is either the rest of the body or nothing.
func TestS10EarlyRejection(t *testing.T) {
	addr := serve(t, testConfig, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		t.Errorf("the body was taken for %s %s", r.Method, r.URL)
	}))
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, raw := range map[string]string{
		"short":   post + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(smuggled)) + smuggled,
		"chunked": post + "Transfer-Encoding: chunked\r\n\r\n" + chunked(smuggled),
		"long":    post + "Content-Length: 10000000\r\n\r\n" + smuggled + smuggled,
		"expect":  post + fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(smuggled)) + smuggled,
	} {
		c := dial(t, addr)
		c.send(raw)
		if resp, _ := c.answer("POST"); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", name, resp.Status)
		}
		c.closeHalf()
		c.wantClosed()
	}
}

func (c *client) closeHalf() {
	c.t.Helper()
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// A hijacked connection is not HTTP any more, from the first byte behind the
// head on, also when it came along with the head.
func TestP16Hijack(t *testing.T) {
	addr := serve(t, testConfig, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		io.Copy(c, rw) // both what net/http has buffered and the connection
		c.(*Conn).CloseWrite()
	}))
	frames := "\x81\x05hello\n\x00\xff" + strings.Repeat("GET x\n", 2000)
	for _, early := range []int{0, 1, len(frames)} {
		c := dial(t, addr)
		c.send(get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + frames[:early])
		if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(resp, err)
		}
		go func() {
			io.WriteString(c, frames[early:])
			c.closeHalf()
		}()
		if got, err := io.ReadAll(c.r); err != nil || string(got) != frames {
			t.Errorf("%d early: %d bytes came back, error %v; want %d", early, len(got), err, len(frames))
		}
	}
}

// Through a real ReverseProxy, the way WebSockets go.
func TestUpgradeThroughReverseProxy(t *testing.T) {
	upgrade := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, _ := http.NewResponseController(w).Hijack()
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := rw.ReadString('\n')
		io.WriteString(c, "echo "+line)
	})
	target := &url.URL{Scheme: "http", Host: serve(t, testConfig, upgrade).String()}
	addr := serve(t, testConfig, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	c := dial(t, addr)
	c.send(get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly\n")
	if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	if line, err := c.r.ReadString('\n'); line != "echo early\n" {
		t.Errorf("got %q, error %v", line, err)
	}
}

// The answer to a fault arrives although the client sent far more than was
// read, and did not stop to listen.
func TestAnswerSurvivesUnreadBytes(t *testing.T) {
	var h recorder
	addr := serve(t, testConfig, &h)
	for range 20 {
		c := dial(t, addr)
		c.send("GET /#f HTTP/1.1\r\nHost: h\r\n\r\n" + strings.Repeat("x", 128<<10))
		if resp, body := c.answer("GET"); resp.StatusCode != http.StatusBadRequest {
			t.Fatalf("answer %s %q", resp.Status, body)
		}
	}
}

// A client that has closed its half still waits for the answer.
func TestFaultOfHalfClosedConnection(t *testing.T) {
	var h recorder
	c := dial(t, serve(t, testConfig, stays(t, &h)))
	c.send("GET / HTTP/1.1\r\nHost")
	c.closeHalf()
	if resp, body := c.answer("GET"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("answer %s %q", resp.Status, body)
	}
	c.wantClosed()
}

// So it does when more requests came along, of which net/http could not tell.
func TestPipelinedOnHalfClosedConnection(t *testing.T) {
	var h recorder
	addr := serve(t, testConfig, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			stays(t, &h).ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}))
	c := dial(t, addr)
	c.send(get + "\r\n" + next)
	c.closeHalf()
	if one, two := c.echo(), c.echo(); one.Target != "/" || two.Target != "/next" {
		t.Errorf("understood %v and %v", one, two)
	}
}

// stays fails the test when the request is cancelled within a while.
func stays(t *testing.T, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			t.Error("the request was cancelled")
		case <-time.After(50 * time.Millisecond):
		}
		h.ServeHTTP(w, r)
	})
}

// lingering tells the order in which a connection is taken down.
type lingering struct {
	script
	calls []string
}

func (l *lingering) CloseWrite() error {
	l.calls = append(l.calls, "close write")
	return nil
}

func (l *lingering) Read(p []byte) (int, error) {
	n, err := l.script.Read(p)
	if err != nil {
		l.calls = append(l.calls, "read to the end")
	}
	return n, err
}

func (l *lingering) Close() error {
	l.calls = append(l.calls, "close")
	return nil
}

func TestCloseLingersOnceAfterAFault(t *testing.T) {
	for _, fault := range []bool{false, true} {
		c := scripted(t, testConfig)
		l := &lingering{script: script{pieces: bytewise("what was not read"), end: io.EOF}}
		c.Conn = l
		want := []string{"close", "close"}
		if fault {
			c.fault.Store(malformed(""))
			want = []string{"close write", "read to the end", "close", "close"}
		}
		c.Close()
		c.Close()
		if !slices.Equal(l.calls, want) {
			t.Errorf("fault %v: %q, want %q", fault, l.calls, want)
		}
	}
}
