package outbound

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestNewClient(t *testing.T) {
	given := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: "issuer"}
	for _, c := range []struct {
		given  *tls.Config
		oldest uint16
	}{{nil, tls.VersionTLS12}, {given, tls.VersionTLS13}} {
		way := NewClient(c.given, time.Second, 3).Transport.(*http.Transport)
		if got := way.TLSClientConfig.MinVersion; got != c.oldest || way.TLSClientConfig == given || way.Proxy != nil {
			t.Errorf("TLS from %x on, want %x", got, c.oldest)
		}
		// Who asks may have given up long before: see net/http's dialConnFor.
		if way.TLSHandshakeTimeout != time.Second || way.IdleConnTimeout != idleTimeout || way.MaxIdleConnsPerHost != 3 {
			t.Errorf("a handshake may take %s, %d connections may wait for %s", way.TLSHandshakeTimeout, way.MaxIdleConnsPerHost, way.IdleConnTimeout)
		}
		if !way.ForceAttemptHTTP2 || way.MaxResponseHeaderBytes != MaxHeaderBytes {
			t.Errorf("HTTP/2 %t, a header of %d bytes", way.ForceAttemptHTTP2, way.MaxResponseHeaderBytes)
		}
	}
	// Connecting goes on when a question's time is over, and has a bound of its own.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var timeout net.Error
	way := NewClient(nil, time.Nanosecond, 1).Transport.(*http.Transport)
	if _, err := way.DialContext(t.Context(), "tcp", listener.Addr().String()); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("connecting in no time: %v", err)
	}
}

func TestStatusError(t *testing.T) {
	for status, redirect := range map[int]bool{204: false, 299: false, 302: true, 308: true, 401: false, 503: false} {
		if text := StatusError(status).Error(); strings.Contains(text, "redirects are not followed") != redirect {
			t.Errorf("%d: %s", status, text)
		}
	}
}
