package contract

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// raw is an upstream that answers each connection's first request with those
// bytes and hangs up.
func raw(t *testing.T, answer string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(rig.Patience))
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.WriteString(c, answer)
			}
			_ = c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// An upstream that does not speak HTTP is unavailable; half an answer never
// looks like a whole one.
func TestUpstreamThatMisbehaves(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, answer string }{
		{"hangs up", ""},
		{"no HTTP", "hello\r\n\r\n"},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-Le"},
		{"switches protocols unasked", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
		{"huge head", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 1<<20) + "\r\n\r\n"},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"},
		{"half a chunked body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
	}
	w := start(t, "memory:", func(c *rig.Config) {
		for i, row := range cases {
			c.YAML += fmt.Sprintf("  - {name: bad%d, match: /bad%d, auth: none, upstream: %q}\n", i, i, raw(t, row.answer))
		}
	})
	for i, row := range cases {
		t.Run(row.name, func(t *testing.T) {
			c := w.Dial(t)
			_, _ = io.WriteString(c, rig.Get(fmt.Sprintf("/bad%d", i)))
			a, err := c.Read("GET")
			if strings.HasSuffix(row.name, "body") {
				if err == nil {
					t.Errorf("half an answer came as a whole one: %d %q", a.Status, a.Body)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			a.Refused(t, 502, "upstream_unavailable")
		})
	}
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", func(c *rig.Config) { c.YAML += "  - {name: ws, match: /ws, websocket: true}\n" })
	w.up.Handle(t, func(rw http.ResponseWriter, r *http.Request) {
		c, stream, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprintf(stream, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\nX-User-Id: forged\r\n\r\n", r.Header.Get("Sec-WebSocket-Key"))
		_ = stream.Flush()
		for {
			line, err := stream.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprintf(stream, "%s says %s", r.Header.Get("X-User-Id"), line)
			_ = stream.Flush()
		}
	})
	c := w.Dial(t)
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: gw.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a2V5\r\nX-User-Id: root\r\n%s\r\n%s\r\n\r\n", keyLine, bearer(token(t, nil)))
	a, err := c.Read("GET")
	if err != nil || a.Status != 101 || a.Header.Get("Sec-Websocket-Accept") != "a2V5" || a.Header.Get("X-User-Id") != "" || a.Token() != "" {
		t.Fatalf("%d %v %v", a.Status, a.Header, err)
	}
	in := bufio.NewReader(c.Buffered())
	for i := range 3 {
		fmt.Fprintf(c, "%d\n", i)
		if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("alice says %d\n", i) {
			t.Fatalf("%q %v", line, err)
		}
	}
	_ = c.Close()
	if line, _ := w.Log.Access(t, a); line["status"] != 101.0 || line["route"] != "ws" || line["result"] != "allowed" {
		t.Errorf("logged as %v", line)
	}
}

// What comes in pieces goes on in pieces.
func TestStreaming(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	next := make(chan struct{})
	w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(rw, "data: %d\n\n", i)
			rw.(http.Flusher).Flush()
			<-next
		}
	})
	c := w.Dial(t)
	_, _ = io.WriteString(c, rig.Get("/open/"))
	res, err := http.ReadResponse(bufio.NewReader(c.Buffered()), nil)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(res.Body)
	for i := range 3 {
		if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("%q %v", line, err)
		}
		_, _ = in.ReadString('\n')
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
}

// A HEAD request has the header of an answer and no body, ours too.
func TestHead(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	for target, status := range map[string]int{"/open/": 200, "/plain/": 401, "/nothing": 404} {
		c := w.Dial(t)
		_, _ = io.WriteString(c, strings.Replace(rig.Request("HEAD", target, ""), "close", "keep-alive", 1)+rig.Get("/open/"))
		a, err := c.Read("HEAD")
		if err != nil || a.Status != status || a.Body != "" || a.Header.Get("Content-Length") == "0" {
			t.Errorf("%s: %d %v %v", target, a.Status, a.Header, err)
		}
		if second, err := c.Read("GET"); err != nil || second.Status != 200 || second.Body != "hello" {
			t.Errorf("%s: the request behind it: %d %q %v", target, second.Status, second.Body, err)
		}
	}
}
