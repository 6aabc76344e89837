package gateway

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// http2Client speaks HTTP/2 without TLS.
func http2Client(t *testing.T) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A gRPC call from a client without TLS to an upstream without TLS, as beside a
// service in a pod; and what becomes of HTTP/2 where it is not switched on.
func TestGRPCWithoutTLS(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		w.Header().Set(http.TrailerPrefix+"X-Seen", r.Proto+" "+r.Header.Get("Te")+" "+r.Header.Get("X-User-Id"))
	}))
	upstream.Config.Protocols = protocols(true)
	upstream.Start()
	t.Cleanup(upstream.Close)
	routes := fmt.Sprintf("  - {name: grpc, match: /shop.Orders/, upstream: %q, auth: bearer}\n", strings.Replace(upstream.URL, "http:", "h2c:", 1))
	config := yaml(upstream.URL, routes)
	r := start(t, strings.Replace(config, "drain_timeout: 5s", "drain_timeout: 5s, h2c: true", 1))
	call := func(token string) *http.Response {
		message := append(binary.BigEndian.AppendUint32([]byte{0}, 5), "hello"...)
		return r.do(http2Client(t), "POST", "http://"+r.Addr().String()+"/shop.Orders/Get", string(message), "Content-Type", "application/grpc", "Te", "trailers", "Authorization", token)
	}
	res := call("Bearer " + r.token(nil))
	if body := must(io.ReadAll(res.Body)); string(body) != "\x00\x00\x00\x00\x05hello" || res.Trailer.Get("Grpc-Status") != "0" || res.Trailer.Get("X-Seen") != "HTTP/2.0 trailers u1" {
		t.Errorf("%q, trailer %v, header %v", body, res.Trailer, res.Header)
	}
	if res := call("Bearer " + r.token(map[string]any{"exp": 1})); res.StatusCode != 200 || res.Header.Get("Grpc-Status") != "16" || !strings.HasPrefix(res.Header.Get("Grpc-Message"), "token_expired: ") {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	r.eventually("counting the denial as 401", func() bool {
		return strings.Contains(text(r.admin("GET", "/metrics", "")), `gatehouse_requests_total{method="POST",route="grpc",status="401"} 1`)
	})
	if res := r.get("/orders/", "Api-Key", "web-key"); res.StatusCode != 401 { // HTTP/1.1 on the same port
		t.Errorf("%d", res.StatusCode)
	}
	without := start(t, config)
	if res, err := http2Client(t).Get("http://" + without.Addr().String() + "/orders/"); err == nil {
		t.Errorf("HTTP/2 without having been switched on: %d", res.StatusCode)
		res.Body.Close()
	}
}

// A drain finishes HTTP/2 calls under way and ends their connections.
func TestD13H2CDrains(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "done")
	}))
	t.Cleanup(upstream.Close)
	config := yaml(upstream.URL, fmt.Sprintf("  - {name: open, match: /open/, upstream: %q, auth: none}\n", upstream.URL))
	r := start(t, strings.Replace(config, "drain_timeout: 5s", "drain_timeout: 5s, h2c: true", 1))
	answered := make(chan string, 1)
	go func() {
		res, err := http2Client(t).Get("http://" + r.Addr().String() + "/open/")
		if err != nil {
			answered <- err.Error()
			return
		}
		answered <- text(res)
	}()
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	r.eventually("draining", r.draining.Load)
	close(finish)
	if got := <-answered; got != "done" {
		t.Error(got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// The authorities of an upstream's certificate are read again when they change.
func TestUpstreamTLSReloaded(t *testing.T) {
	t.Parallel()
	right, wrong := newAuthority(t, "right"), newAuthority(t, "wrong")
	folder := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := right.issue("upstream.internal", "", time.Hour)
	own, ownKey := right.issue("gateway", "", time.Hour)
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", r.TLS.ServerName, " ", r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	upstream.EnableHTTP2 = true
	upstream.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	upstream.TLS = serverTLS(right, cert, key)
	upstream.StartTLS()
	t.Cleanup(upstream.Close)
	ca := write("ca.pem", wrong.pem())
	r := start(t, yaml(upstream.URL, fmt.Sprintf("  - {name: open, match: /open/, upstream: %q, auth: none, upstream_tls: {ca_file: %s, cert_file: %s, key_file: %s, server_name: upstream.internal}}\n",
		upstream.URL, ca, write("own.pem", own), write("own.key", ownKey))))
	if res := r.get("/open/"); res.StatusCode != 502 {
		t.Errorf("%d", res.StatusCode)
	}
	write("ca.pem", right.pem())
	r.eventually("believing the upstream", func() bool {
		res := r.get("/open/")
		return res.StatusCode == 200 && text(res) == "HTTP/2.0 upstream.internal gateway"
	})
	write("ca.pem", wrong.pem()) // also on connections that are open
	r.eventually("believing it no longer", func() bool { return r.get("/open/").StatusCode == 502 })
	write("ca.pem", []byte("no certificate"))
	r.eventually("refusing the file", func() bool {
		return strings.Contains(r.log.String(), "routes[1].upstream_tls.ca_file: there is no certificate in it: want PEM")
	})
}
