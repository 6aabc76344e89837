package wire

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// settings is an empty SETTINGS frame (RFC 9113 §6.5), with which both sides
// begin.
const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// serveH2C serves HTTP/2 without TLS too. The handler asks as the gateway does.
func serveH2C(t testing.TB, cfg Config) net.Addr {
	t.Helper()
	cfg.H2C = true
	h := &recorder{}
	return serve(t, cfg, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := CheckRequest(r); f != nil {
			answerFault(w, f)
			return
		}
		h.ServeHTTP(w, r)
	}))
}

func TestH2C(t *testing.T) {
	addr := serveH2C(t, testConfig)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	for _, test := range []struct {
		header string
		status int
	}{{"X-A", 200}, {"X_user_id", 400}, {"X.user.id", 400}} {
		r, err := http.NewRequest("POST", "http://"+addr.String()+"/a%2Fb?c;d", strings.NewReader(strings.Repeat("body", 50_000)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header[test.header] = []string{"1"}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.ProtoMajor != 2 || res.StatusCode != test.status {
			t.Errorf("%s: %v %d %d %.200s", test.header, err, res.ProtoMajor, res.StatusCode, body)
		}
		if echoed := bytes.Count(body, []byte("body")); test.status == 200 && echoed < 50_000 {
			t.Errorf("%d parts of the body came", echoed)
		}
	}
}

func TestH2CPrefaceInPieces(t *testing.T) {
	c := dial(t, serveH2C(t, testConfig))
	for _, b := range bytewise(http2Preface) {
		c.send(string(b))
		time.Sleep(time.Millisecond)
	}
	c.send(settings)
	head := make([]byte, 9)
	if _, err := io.ReadFull(c.r, head); err != nil || head[3] != 4 {
		t.Errorf("the server begins with %q, %v", head, err)
	}
}

// What is not the preface is held to the rules of HTTP/1, and a connection that
// has begun with HTTP/1 stays with it.
func TestH2CElse(t *testing.T) {
	addr := serveH2C(t, testConfig)
	for _, test := range []struct {
		raw      string
		statuses []int
	}{
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", []int{200, 200}},
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\n" + http2Preface + settings, []int{200, 505}},
		{"\r\n" + http2Preface + settings, []int{505}},
		{"PRI * HTTP/2.0\r\nHost: h\r\n\r\n", []int{400}},
		{"PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n\r\n", []int{400}},
		{"PRI * HTTP/2.0\n\nSM\n\n", []int{400}},
		{"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{505}},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", []int{400}},
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", []int{200, 200}},
	} {
		c := dial(t, addr)
		c.send(test.raw)
		for _, want := range test.statuses {
			if res, _ := c.answer("GET"); res.StatusCode != want {
				t.Errorf("%q: %d, want %d", test.raw, res.StatusCode, want)
			}
		}
		c.wantClosed()
	}
}

// An unfinished preface has the time of a head and no more; after a whole one
// that time has no meaning.
func TestD01H2CPrefaceTakesTooLong(t *testing.T) {
	cfg := testConfig
	cfg.ReadHeaderTimeout = 200 * time.Millisecond
	addr := serveH2C(t, cfg)
	slow := dial(t, addr)
	slow.send(http2Preface[:20])
	whole := dial(t, addr)
	whole.send(http2Preface + settings)
	if res, _ := slow.answer("GET"); res.StatusCode != http.StatusRequestTimeout {
		t.Errorf("%d", res.StatusCode)
	}
	time.Sleep(cfg.ReadHeaderTimeout)
	whole.send("\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678") // PING
	for head := make([]byte, 9); ; {
		if _, err := io.ReadFull(whole.r, head); err != nil {
			t.Fatalf("the connection is gone: %v", err)
		}
		if _, err := io.CopyN(io.Discard, whole.r, int64(head[2])); err != nil {
			t.Fatal(err)
		}
		if head[3] == 6 && head[4] == 1 {
			return // answered
		}
	}
}
