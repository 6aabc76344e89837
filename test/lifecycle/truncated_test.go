package lifecycle

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// What breaks off at the upstream breaks off at the client, whatever is spoken
// on either side: never a clean end.
func TestD06TruncatedUpstreams(t *testing.T) {
	key := rig.KeyPairs()["P-256"]
	files := map[string]string{"cert.pem": rig.CertificatePEM(key), "key.pem": rig.PrivatePEM(key)}
	for name, answer := range map[string]string{
		"Content-Length": "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("half", 5000),
		"chunked":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n" + strings.Repeat("half", 5000) + "\r\n",
		"within a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9999\r\n" + strings.Repeat("half", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := scripted(t, answer)
			plain := rig.Start(t, rig.Config{YAML: configured("", up, "")})
			secure := rig.Start(t, rig.Config{YAML: configured(", tls: {cert_file: cert.pem, key_file: key.pem}", up, ""), Files: files})
			c := plain.Dial(t)
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: gw.example\r\n\r\n")
			wantHalf(t, c)
			for over, c := range map[string]*rig.Conn{"TCP": plain.Dial(t), "TLS": secure.DialTLS(t, "http/1.1")} {
				_, _ = io.WriteString(c, "GET / HTTP/1.0\r\nHost: gw.example\r\n\r\n")
				if n, err := io.Copy(io.Discard, c.Conn); err == nil {
					t.Errorf("HTTP/1.0 over %s: %d bytes and then an orderly end, which says that this was all", over, n)
				}
			}
			h2 := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
			defer h2.CloseIdleConnections()
			res, err := h2.Get("https://" + secure.Addr)
			if err != nil {
				return // its header was cut off too
			}
			defer res.Body.Close()
			if _, err = io.ReadAll(res.Body); res.ProtoMajor != 2 || err == nil || !strings.Contains(err.Error(), "stream") {
				t.Errorf("%s: the stream ends with %v, want it reset", res.Proto, err)
			}
		})
	}
}

// wantHalf checks that an answer is seen to be cut off.
func wantHalf(t *testing.T, c *rig.Conn) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c.Conn), nil)
	if err != nil {
		return // its header was cut off too
	}
	if n, err := io.Copy(io.Discard, res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes and %v, want an unexpected end", n, err)
	}
}

// As many connections as server.max_connections says are served at once; more
// wait for one to end.
func TestD04MaxConnections(t *testing.T) {
	up := rig.StartUpstream(t)
	g := rig.Start(t, rig.Config{YAML: configured(", max_connections: 3", up.URL, "")})
	get := "GET / HTTP/1.1\r\nHost: gw.example\r\n\r\n"
	served := make([]*rig.Conn, 3)
	for i := range served {
		served[i] = g.Dial(t)
		_, _ = io.WriteString(served[i], get)
		if a, err := served[i].Read("GET"); err != nil || a.Status != 200 {
			t.Fatalf("connection %d: %d %v", i, a.Status, err)
		}
	}
	waiting := g.Dial(t)
	_, _ = io.WriteString(waiting, get)
	g.Log.Wait(t, "all connections that server.max_connections allows are open; more wait until one ends")
	_ = waiting.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	var timeout net.Error
	if _, err := waiting.Buffered().Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a connection too many is served, or ended: %v", err)
	}
	_ = waiting.SetReadDeadline(time.Now().Add(rig.Patience))
	_ = served[1].Close()
	if a, err := waiting.Read("GET"); err != nil || a.Status != 200 {
		t.Errorf("the connection that waited: %d %v", a.Status, err)
	}
	if a := g.AdminCall(t, "GET", "/readyz", ""); a.Status != 200 {
		t.Errorf("/readyz is %d", a.Status)
	}
}
