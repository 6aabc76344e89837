package proxy

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

// secureUpstream is an https upstream with a certificate that no system
// believes, which tells what it was asked in.
func secureUpstream(t *testing.T, http2 bool) (u *url.URL, authority *x509.CertPool, own tls.Certificate) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			switching(w, r)
			return
		}
		w.Header().Set("X-Proto", r.Proto)
		w.Header().Set("X-Name", r.TLS.ServerName)
		if len(r.TLS.PeerCertificates) > 0 {
			w.Header().Set("X-Certificate", r.TLS.PeerCertificates[0].Subject.String())
		}
		_, _ = io.Copy(w, r.Body)
	}))
	s.EnableHTTP2 = http2
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	authority = x509.NewCertPool()
	authority.AddCert(s.Certificate())
	return must(url.Parse(s.URL)), authority, s.TLS.Certificates[0]
}

func TestUpstreamTLS(t *testing.T) {
	u, authority, own := secureUpstream(t, true)
	old, _, _ := secureUpstream(t, false)
	to := func(name string, u *url.URL, secure *UpstreamTLS) *Route {
		r := route(name, "/"+name, auth.None)
		r.Upstreams, r.TLS, r.WebSocket = []Upstream{{URL: u}}, secure, true
		return r
	}
	private := &tls.Config{RootCAs: authority}
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{
			to("system", u, nil),
			to("private", u, &UpstreamTLS{Config: private, ID: "private"}),
			to("old", old, &UpstreamTLS{Config: private, ID: "private"}),
			to("named", u, &UpstreamTLS{Config: &tls.Config{RootCAs: authority, ServerName: "example.com"}, ID: "named"}),
			to("wrong", u, &UpstreamTLS{Config: &tls.Config{RootCAs: authority, ServerName: "example.org"}, ID: "wrong"}),
			to("shown", u, &UpstreamTLS{Config: &tls.Config{RootCAs: authority, Certificates: []tls.Certificate{own}}, ID: "shown"}),
		}
	})
	for _, test := range []struct {
		route, proto, name, certificate string
		status                          int
	}{
		{"system", "", "", "", 502},
		{"wrong", "", "", "", 502},
		{"private", "HTTP/2.0", "", "", 200},
		{"old", "HTTP/1.1", "", "", 200},
		{"named", "HTTP/2.0", "example.com", "", 200},
		{"shown", "HTTP/2.0", "", "O=Acme Co", 200},
	} {
		a := g.raw("POST /" + test.route + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody")
		h := a.Header
		if a.StatusCode != test.status || h.Get("X-Proto") != test.proto || h.Get("X-Name") != test.name || h.Get("X-Certificate") != test.certificate || a.StatusCode == 200 && a.body != "body" {
			t.Errorf("%+v: %d %v %q", test, a.StatusCode, h, a.body)
		}
	}
	if private.NextProtos != nil {
		t.Error("routes share the TLS configuration, and a transport has changed it")
	}
	if log := g.log.String(); strings.Count(log, "certificate signed by unknown authority") != 1 || !strings.Contains(log, "not example.org") {
		t.Errorf("the log does not say what is wrong with the certificates:\n%s", log)
	}
	// A WebSocket needs a connection of HTTP/1.1 to an upstream that prefers HTTP/2.
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, strings.Replace(upgrade, "/ws", "/private", 1)+"\r\nhello\n")
	r := bufio.NewReader(conn)
	if res := must(http.ReadResponse(r, nil)); res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%d", res.StatusCode)
	}
	if line, err := r.ReadString('\n'); line != "hello\n" {
		t.Errorf("%q %v", line, err)
	}
}

// Connections that were made with other certificates are not used again, and
// nothing is kept of them.
func TestUpstreamTLSReplaced(t *testing.T) {
	u, authority, _ := secureUpstream(t, true)
	secured := func(id string, pool *x509.CertPool) []*Route {
		r := route("all", "/", auth.None)
		r.Upstreams, r.TLS = []Upstream{{URL: u}}, &UpstreamTLS{Config: &tls.Config{RootCAs: pool}, ID: id}
		return []*Route{r}
	}
	var base StateConfig
	g := newGateway(t, func(s *setup) { s.routes = secured("1", authority) })
	base = StateConfig{Gate: g.state.gate, APIKeyHeader: "Api-Key", Observer: func(string) Observer { return g.counts }, Renewal: func(string, auth.RenewResult) {}}
	reload := func(id string, pool *x509.CertPool) {
		base.Routes = secured(id, pool)
		g.state = must(NewState(base))
	}
	for _, step := range []struct {
		id     string
		pool   *x509.CertPool
		status int
	}{{"1", authority, 200}, {"1", authority, 200}, {"2", x509.NewCertPool(), 502}, {"3", authority, 200}} {
		reload(step.id, step.pool)
		if a := g.get("/"); a.StatusCode != step.status {
			t.Errorf("%+v: %d", step, a.StatusCode)
		}
		if n := len(g.handler.transport.by); n != 1 {
			t.Errorf("%+v: %d ways are kept", step, n)
		}
	}
}
