package wire

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// typical is a request of about 1 KB as a browser's API client sends it, most
// of it the token.
var typical = "GET /orders/v1/items/4711?expand=lines&page=2 HTTP/1.1\r\nHost: api.example.com\r\nAccept: application/json, text/plain, */*\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\nApi-Key: 6d9f0c35a1b24be7a1f0a9d3c5e7f802\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
	"Authorization: Bearer " + strings.Repeat("eyJhbGciOiJFUzI1NiIs", 28) + "\r\nX-Request-Id: 0190163d-8694-739b-aea5-966c26f8ad91\r\n\r\n"

// endless is a client that always has the next request ready.
type endless struct {
	net.Conn
	request string
	sent    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.request[e.sent:])
	e.sent = (e.sent + n) % len(e.request)
	return n, nil
}
func (e *endless) SetReadDeadline(time.Time) error { return nil }

// BenchmarkHead is the cost of the check alone.
func BenchmarkHead(b *testing.B) {
	for name, request := range map[string]string{
		"1KB":     typical,
		"minimal": get + "\r\n",
		"chunked": strings.Replace(typical, "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", 1) + chunked("0123456789", "0123456789"),
		"9KB":     strings.Replace(typical, "\r\n\r\n", "\r\nCookie: "+strings.Repeat("c", 8000)+"\r\n\r\n", 1), // longer than net/http's buffer
	} {
		b.Run(name, func(b *testing.B) {
			c := scripted(b, testConfig)
			p := make([]byte, 4096)
			c.Conn = &endless{request: request}
			c.in.conn = c.Conn
			b.SetBytes(int64(len(request)))
			b.ReportAllocs()
			for b.Loop() {
				for got := 0; got < len(request); {
					n, err := c.Read(p)
					if err != nil {
						b.Fatal(err)
					}
					got += n
				}
			}
			if f := c.fault.Load(); f != nil {
				b.Fatal(f)
			}
		})
	}
}

// BenchmarkServer is a net/http server with and without the check, one
// keep-alive connection.
func BenchmarkServer(b *testing.B) {
	for _, checked := range []bool{false, true} {
		b.Run(map[bool]string{false: "bare", true: "checked"}[checked], func(b *testing.B) {
			raw, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			l := raw
			if checked {
				if l, err = NewListener(raw, testConfig); err != nil {
					b.Fatal(err)
				}
			}
			serveOn(b, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if f := FaultOf(r.Context()); f != nil {
					b.Error(f)
				}
				w.WriteHeader(http.StatusNoContent)
			}))
			c, err := net.Dial("tcp", raw.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			r := bufio.NewReader(c)
			b.ReportAllocs()
			for b.Loop() {
				io.WriteString(c, typical)
				for {
					line, err := r.ReadSlice('\n')
					if err != nil {
						b.Fatal(err)
					}
					if len(line) == 2 {
						break
					}
				}
			}
		})
	}
}
