package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endings are the kinds of connections, each by how a client opens one.
func endings(t *testing.T, h http.Handler) map[string]func() net.Conn {
	t.Helper()
	secure, clientTLS := secured(t)
	kinds := map[string]func() net.Conn{}
	for name, cfg := range map[string]Config{"plain": testConfig, "TLS": secure} {
		for _, limit := range []int{0, 10} {
			cfg.MaxConnections = limit
			addr := serve(t, cfg, h)
			kinds[fmt.Sprintf("%s, limit %d", name, limit)] = func() net.Conn {
				c, err := net.Dial("tcp", addr.String())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				if cfg.TLS != nil {
					return tls.Client(c, clientTLS.Clone())
				}
				return c
			}
		}
	}
	return kinds
}

// What was broken off ends in no way that could be taken for a good end.
func TestBreakOff(t *testing.T) {
	seen := make(chan struct{})
	for name, open := range endings(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		<-seen
		BreakOff(r.Context())
		panic(http.ErrAbortHandler)
	})) {
		c := open()
		_, _ = io.WriteString(c, "GET / HTTP/1.0\r\nHost: h\r\n\r\n")
		for got := ""; !strings.HasSuffix(got, "half"); {
			b := make([]byte, 512)
			n, err := c.Read(b)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got += string(b[:n])
		}
		seen <- struct{}{}
		if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: ended with %v", name, err)
		}
	}
}

// The client of an abandoned connection gets the answer, and in order: at once,
// and without a reset, although nobody reads what it goes on to send.
func TestAbandon(t *testing.T) {
	for name, open := range endings(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		Abandon(r.Context())
		_, _ = io.WriteString(w, "enough")
	})) {
		c := open()
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 50_000))
		began := time.Now()
		all, err := io.ReadAll(c)
		if took := time.Since(began); !strings.HasSuffix(string(all), "enough") || err != nil || took > lingerTime*4/5 {
			t.Errorf("%s: %q, %v after %s", name, all, err, took)
		}
	}
}
