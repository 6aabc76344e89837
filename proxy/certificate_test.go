package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gatehouse/auth"
)

// selfSigned is a client's certificate and its own authority.
func selfSigned(t *testing.T) *x509.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))
}

// A stream that was let in by a certificate ends with it: when it expires, when
// its authority is taken out, and when the route asks for another.
func TestP17StreamsEndWithTheirCertificate(t *testing.T) {
	leaf := selfSigned(t)
	authority := x509.NewCertPool()
	authority.AddCert(leaf)
	rule := []auth.CertificateRule{{}}
	for name, change := range map[string]func(s *StateConfig, now *time.Time){
		"expired":   func(_ *StateConfig, now *time.Time) { *now = leaf.NotAfter.Add(time.Second) },
		"authority": func(s *StateConfig, _ *time.Time) { s.ClientCAs = x509.NewCertPool() },
		"rule": func(s *StateConfig, _ *time.Time) {
			s.Routes[0].Policy.Certificates = []auth.CertificateRule{{Subject: "CN=other"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, func(s *setup) {
				s.routes = []*Route{route("all", "/", auth.None)}
				s.routes[0].Policy.Certificates = rule
				s.state.ClientCAs = authority
				s.upstream = func(w http.ResponseWriter, r *http.Request) {
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
				}
			})
			r := httptest.NewRequestWithContext(context.WithValue(t.Context(), http.ServerContextKey, &http.Server{}), "GET", "/", nil)
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
			over := make(chan any, 1)
			go func() {
				defer func() { over <- recover() }()
				g.handler.ServeHTTP(httptest.NewRecorder(), r)
			}()
			for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
				g.handler.ongoing.mu.Lock()
				n := len(g.handler.ongoing.by)
				g.handler.ongoing.mu.Unlock()
				if n == 1 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the stream is not watched")
				}
			}
			now := time.Now()
			g.handler.ongoing.recheck(t.Context(), g.state, now)
			select {
			case <-over:
				t.Fatal("it ended with a good certificate")
			default:
			}
			cfg := StateConfig{Gate: g.state.gate, Routes: []*Route{route("all", "/", auth.None)}, ClientCAs: authority, APIKeyHeader: "Api-Key", Observer: func(string) Observer { return g.counts }, Renewal: func(string, auth.RenewResult) {}}
			cfg.Routes[0].Policy.Certificates, cfg.Routes[0].Upstreams = rule, []Upstream{{URL: must(g.state.table.routes[0].balancer.next(), nil)}}
			change(&cfg, &now)
			state := must(NewState(cfg))
			if name == "expired" {
				state = g.state // nothing else has changed
			}
			g.handler.ongoing.recheck(t.Context(), state, now)
			select {
			case p := <-over:
				if p != http.ErrAbortHandler {
					t.Errorf("%v", p)
				}
			case <-time.After(5 * time.Second):
				t.Error("it goes on")
			}
		})
	}
}

// signed is a certificate and its key, of itself where there is no parent.
func signed(ca bool, life time.Duration, usage x509.ExtKeyUsage, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(life), ExtKeyUsage: []x509.ExtKeyUsage{usage},
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent, by = template, key
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)))), key
}

// The steps of one connection come one after the other: what was verified for
// one configuration and time says nothing of another.
func TestClientCertificate(t *testing.T) {
	const client = x509.ExtKeyUsageClientAuth
	root, rootKey := signed(true, 3*time.Hour, client, nil, nil)
	between, betweenKey := signed(true, time.Hour, client, root, rootKey)
	leaf, _ := signed(false, 2*time.Hour, client, between, betweenKey)
	server, _ := signed(false, 2*time.Hour, x509.ExtKeyUsageServerAuth, root, rootKey)
	cas := x509.NewCertPool()
	cas.AddCert(root)
	with := func(cs ...*x509.Certificate) *tls.ConnectionState { return &tls.ConnectionState{PeerCertificates: cs} }
	var last *auth.Certificate
	x := &Exchange{in: httptest.NewRequest("GET", "/", nil).WithContext(ConnContext(t.Context(), nil))}
	for _, step := range []struct {
		name     string
		shown    *tls.ConnectionState
		cas      *x509.CertPool
		optional bool
		after    time.Duration
		there    bool
		reason   auth.Reason
	}{
		{"no TLS", nil, cas, false, 0, false, auth.OK},
		{"none asked for", with(leaf, between), nil, false, 0, false, auth.OK},
		{"none, optional", with(), cas, true, 0, false, auth.OK},
		{"none, required", with(), cas, false, 0, false, auth.CertificateForbidden},
		{"of a server", with(server), cas, false, 0, false, auth.CertificateForbidden},
		{"good", with(leaf, between), cas, false, 0, true, auth.OK},
		{"good still", with(leaf, between), cas, false, time.Minute, true, auth.OK},
		{"authority expired", with(leaf, between), cas, false, 90 * time.Minute, false, auth.CertificateForbidden},
		{"other authority", with(leaf, between), x509.NewCertPool(), true, 0, false, auth.CertificateForbidden},
	} {
		x.in.TLS = step.shown
		c, reason := x.clientCertificate(&State{clientCAs: step.cas, clientCertOptional: step.optional}, time.Now().Add(step.after))
		if (c != nil) != step.there || reason != step.reason {
			t.Errorf("%s: %v, %s", step.name, c, reason)
		}
		if step.name == "good still" && c != last {
			t.Error("it is verified for each request")
		}
		last = c
	}
}

// A connection whose certificate is not asked for any more serves nothing, and
// ends.
func TestP19CertificateIsLookedAtForEachRequest(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.state.ClientCAs = x509.NewCertPool() })
	r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{selfSigned(t)}}
	g.handler.ServeHTTP(w, r)
	if w.Code != 403 || w.Header().Get("Connection") != "close" || g.receivedSoFar() != 0 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
