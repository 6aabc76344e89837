package transport

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// instant is a connection to a server that answers at once.
type instant struct {
	net.Conn
	answer []byte
	left   []byte
}

func (c *instant) Write(p []byte) (int, error) { c.left = c.answer; return len(p), nil }
func (c *instant) Read(p []byte) (int, error) {
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}
func (c *instant) SetDeadline(time.Time) error { return nil }
func (c *instant) Close() error                { return nil }

const usual = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 1024\r\nConnection: keep-alive\r\nX-Seen: 1\r\n\r\n"

// BenchmarkRoundTrip is a round trip without a network.
func BenchmarkRoundTrip(b *testing.B) {
	rt := ours(b, config{timeout: time.Minute, dial: func(context.Context, string, string) (net.Conn, error) {
		return &instant{answer: []byte(usual + strings.Repeat("x", 1024))}, nil
	}})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := (&http.Request{Method: "GET", Host: "gateway.example", URL: &url.URL{Scheme: "http", Host: "h", Path: "/api/ping"}, Header: http.Header{
		"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}, "Accept": {"application/json, text/plain, */*"},
		"Accept-Language": {"en-GB,en;q=0.5"}, "Accept-Encoding": {"gzip, deflate, br, zstd"}, "Cookie": {"session=0123456789abcdef0123456789abcdef; theme=dark"},
		"Referer": {"https://shop.example/catalogue/items?page=3"}, "X-Request-Id": {"0123456789abcdef0123456789abcdef"}, "X-User-Id": {"2f6b1c9e"},
	}}).WithContext(ctx)
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		res, err := rt.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := res.Body.Read(buf); n != 1024 || err != io.EOF {
			b.Fatal(n, err)
		}
		res.Body.Close()
	}
}

// BenchmarkAnswerHeader compares our reader of ordinary headers with the codec.
func BenchmarkAnswerHeader(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if ordinary(usual[:len(usual)-2]) == nil {
				b.Fatal("not ordinary")
			}
		}
	})
	b.Run("codec", func(b *testing.B) {
		b.ReportAllocs()
		r := bytes.NewReader(nil)
		in := bufio.NewReader(r)
		for b.Loop() {
			r.Reset([]byte(usual))
			in.Reset(r)
			if _, err := http.ReadResponse(in, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRequestHead compares our writer of requests without a body with the
// codec.
func BenchmarkRequestHead(b *testing.B) {
	r := &http.Request{Method: "GET", Host: "gateway.example", URL: &url.URL{Scheme: "http", Host: "h", Path: "/api/ping"}, Header: http.Header{
		"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}, "Accept": {"application/json, text/plain, */*"},
		"Accept-Language": {"en-GB,en;q=0.5"}, "Accept-Encoding": {"gzip, deflate, br, zstd"}, "Cookie": {"session=0123456789abcdef0123456789abcdef; theme=dark"},
		"Referer": {"https://shop.example/catalogue/items?page=3"}, "X-Request-Id": {"0123456789abcdef0123456789abcdef"}, "X-User-Id": {"2f6b1c9e"},
	}}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		var room []byte
		for b.Loop() {
			room, _ = appendRequest(room[:0], r)
		}
	})
	b.Run("codec", func(b *testing.B) {
		b.ReportAllocs()
		w := bufio.NewWriter(io.Discard)
		for b.Loop() {
			_ = r.Write(w)
		}
	})
}
