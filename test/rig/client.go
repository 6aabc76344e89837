package rig

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Answer is a response that was read whole.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	Early  []Early // informational answers before it
	Closed bool    // the connection ended behind it
}

// Early is an informational answer.
type Early struct {
	Status int
	Header http.Header
}

// Get makes a GET request of those header lines; the connection is closed
// after it.
func Get(target string, lines ...string) string { return Request("GET", target, "", lines...) }

// Request makes a request of those header lines and that body.
func Request(method, target, body string, lines ...string) string {
	head := method + " " + target + " HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n"
	if body != "" {
		head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	for _, line := range lines {
		head += line + "\r\n"
	}
	return head + "\r\n" + body
}

// Send sends bytes as they are on a new connection and returns the final
// answer to the first request in them.
func (g *Gateway) Send(t testing.TB, raw string) Answer {
	t.Helper()
	all := g.SendAll(t, raw)
	if len(all) == 0 {
		t.Fatalf("no answer to %.200q", raw)
	}
	return all[0]
}

// SendAll is Send for several requests in a row: it returns every answer that
// comes before the gateway ends the connection.
func (g *Gateway) SendAll(t testing.TB, raw string) []Answer {
	t.Helper()
	c := g.Dial(t)
	defer c.Close()
	_, _ = io.WriteString(c, raw) // the gateway may have hung up before all was sent
	method, _, _ := strings.Cut(raw, " ")
	var all []Answer
	for {
		a, err := c.Read(method)
		if err != nil {
			return all
		}
		all = append(all, a)
		// Only now: net/http takes the end of input for the end of the client.
		_ = c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	}
}

// Conn is a raw connection to a gateway.
type Conn struct {
	net.Conn
	in *bufio.Reader
}

// Dial opens a connection to the data listener.
func (g *Gateway) Dial(t testing.TB) *Conn {
	t.Helper()
	c, err := net.Dial("tcp", g.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return newConn(t, c)
}

// DialTLS opens a TLS connection to the data listener that speaks one of those
// protocols.
func (g *Gateway) DialTLS(t testing.TB, protocols ...string) *Conn {
	t.Helper()
	c, err := tls.Dial("tcp", g.Addr, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	if err != nil {
		t.Fatal(err)
	}
	return newConn(t, c)
}

func newConn(t testing.TB, c net.Conn) *Conn {
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(Patience))
	return &Conn{Conn: c, in: bufio.NewReader(c)}
}

// Read reads one answer to a request with that method.
func (c *Conn) Read(method string) (Answer, error) {
	var a Answer
	for {
		res, err := http.ReadResponse(c.in, &http.Request{Method: method})
		if err != nil {
			return a, err
		}
		if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
			a.Early = append(a.Early, Early{res.StatusCode, res.Header})
			continue
		}
		a.Status, a.Header, a.Closed = res.StatusCode, res.Header, res.Close
		if res.StatusCode == http.StatusSwitchingProtocols {
			return a, nil
		}
		body, err := io.ReadAll(res.Body)
		a.Body = string(body)
		return a, err
	}
}

// Buffered reads what comes behind an answer.
func (c *Conn) Buffered() io.Reader { return c.in }

// problem is the body of an answer of the gateway's own, every member there is.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
}

// Refused checks an answer of the gateway's own: its status and code, and all
// else that such an answer has.
func (a Answer) Refused(t testing.TB, status int, code string) {
	t.Helper()
	var p problem
	d := json.NewDecoder(strings.NewReader(a.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Errorf("got %d %.200q (%v), want a problem %d %s", a.Status, a.Body, err, status, code)
		return
	}
	if a.Status != status || p.Code != code {
		t.Errorf("got %d %s, want %d %s", a.Status, p.Code, status, code)
	}
	if p.Status != a.Status || p.Type != "urn:gatehouse:problem:"+p.Code || p.Title == "" || p.RequestID == "" || p.RequestID != a.Header.Get("X-Request-Id") {
		t.Errorf("the problem is not whole: %s, X-Request-Id %q", a.Body, a.Header.Get("X-Request-Id"))
	}
	for name, want := range map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store"} {
		if got := a.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// Token is the renewed token of an answer, empty when it has none.
func (a Answer) Token() string { return strings.TrimPrefix(a.Header.Get("Authorization"), "Bearer ") }

// AdminCall makes a request to the admin listener with the admin token. The
// body, if there is one, is JSON.
func (g *Gateway) AdminCall(t testing.TB, method, path, body string, lines ...string) Answer {
	t.Helper()
	return g.AdminRaw(t, Request(method, path, body, append(lines, "Content-Type: application/json", "Authorization: Bearer "+AdminToken)...))
}

// AdminRaw sends bytes as they are to the admin listener.
func (g *Gateway) AdminRaw(t testing.TB, raw string) Answer {
	t.Helper()
	admin := &Gateway{Addr: g.Admin}
	return admin.Send(t, strings.Replace(raw, "Host: gw.example", "Host: "+g.Admin, 1))
}
