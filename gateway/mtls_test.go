package gateway

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// secured is a gateway with TLS from a volume, in front of an upstream that
// tells the certificate header it got. Its certificate is of the authority
// "server".
func secured(t *testing.T, v *volume, keys, routes string) *rig {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q", r.Header["X-Client-Certificate"])
	}))
	t.Cleanup(upstream.Close)
	text := yaml(upstream.URL, strings.ReplaceAll(routes, "UPSTREAM", upstream.URL))
	return start(t, strings.Replace(text, "drain_timeout: 5s", fmt.Sprintf("drain_timeout: 5s, tls: {cert_file: %s/cert.pem, key_file: %[1]s/key.pem%s}", v.folder, strings.ReplaceAll(keys, "FOLDER", v.folder)), 1))
}

// browser keeps its connections, over HTTP/2 where both can.
func browser(t *testing.T, own ...tls.Certificate) *http.Client {
	c := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: own}}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// fetch returns status and body, or the error in place of the body.
func (r *rig) fetch(c *http.Client, path string, header ...string) (int, string, *http.Response) {
	req := must(http.NewRequest("GET", "https://"+r.Addr().String()+path, nil))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer res.Body.Close()
	return res.StatusCode, string(must(io.ReadAll(res.Body))), res
}

func pemFiles(a *authority, name string) map[string][]byte {
	cert, key := a.issue(name, "", time.Hour)
	return map[string][]byte{"cert.pem": cert, "key.pem": key}
}

// Certificates change as Kubernetes changes them, without a connection lost; a
// pair that does not fit changes nothing, and people and metrics are told.
func TestTLSRotation(t *testing.T) {
	t.Parallel()
	server := newAuthority(t, "server")
	v := newVolume(t, pemFiles(server, "first"))
	r := secured(t, v, "", "  - {name: open, match: /open/, upstream: UPSTREAM, auth: none}\n")
	name := func(c *http.Client) string {
		status, body, res := r.fetch(c, "/open/")
		if status != 200 || res.ProtoMajor != 2 {
			t.Fatalf("%d %s", status, body)
		}
		return res.TLS.PeerCertificates[0].Subject.CommonName
	}
	kept := browser(t)
	if got := name(kept); got != "first" {
		t.Fatal(got)
	}
	v.swap(pemFiles(server, "second"))
	r.eventually("on the second certificate", func() bool { return name(browser(t)) == "second" && name(kept) == "first" })

	mixed := pemFiles(server, "third")
	mixed["key.pem"] = pemFiles(server, "fourth")["key.pem"]
	v.swap(mixed)
	r.eventually("counting the bad pair", func() bool {
		return strings.Contains(text(r.admin("GET", "/metrics", "")), "gatehouse_config_reload_success 0")
	})
	if got := name(browser(t)); got != "second" {
		t.Errorf("after a bad pair: %s", got)
	}
	r.eventually("told", func() bool {
		return strings.Contains(r.log.String(), "server.tls.cert_file: the certificate and its key cannot be used")
	})
	if strings.Contains(r.log.String(), "PRIVATE KEY") {
		t.Error("the key is logged")
	}
	v.swap(pemFiles(server, "fifth"))
	r.eventually("on the fifth certificate", func() bool { return name(browser(t)) == "fifth" && name(kept) == "first" })
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	server, clients, strangers := newAuthority(t, "server"), newAuthority(t, "clients"), newAuthority(t, "clients")
	files := pemFiles(server, "gw")
	files["ca.pem"] = clients.pem()
	v := newVolume(t, files)
	r := secured(t, v, ", client_ca_file: FOLDER/ca.pem, client_auth: optional", `  - {name: open, match: /open, upstream: UPSTREAM, auth: none, forward: {client_certificate: X-Client-Certificate}}
  - {name: any, match: /any, upstream: UPSTREAM, auth: none, require: {client_certificate: [{any: true}]}}
  - {name: named, match: /named, upstream: UPSTREAM, auth: none, require: {client_certificate: [{subject: "CN=orders,O=acme"}, {uri: "spiffe://acme/b"}]}}
  - {name: key, match: /key, upstream: UPSTREAM, auth: api_key, require: {client_certificate: [{dns: orders}]}}
`)
	forged := []string{"X-Client-Certificate", "CN=root", "X-Client--Certificate", "CN=root"}
	orders, other, none := browser(t, clients.client("orders", "", time.Hour)), browser(t, clients.client("x", "spiffe://acme/b", time.Hour)), browser(t)
	for _, test := range []struct {
		client *http.Client
		path   string
		header []string
		status int
		body   string
	}{
		{none, "/open", forged, 200, "[]"},
		{none, "/any", forged, 403, "certificate_forbidden"},
		{none, "/named", nil, 403, "certificate_forbidden"},
		{orders, "/open", forged, 200, `["CN=orders,O=acme"]`},
		{orders, "/any", forged, 200, "[]"}, // a managed name is removed on every route
		{orders, "/named", nil, 200, ""},
		{orders, "/key", nil, 401, "api_key_missing"},
		{orders, "/key", []string{"Api-Key", "web-key"}, 200, ""},
		{other, "/named", nil, 200, ""},
		{other, "/key", []string{"Api-Key", "web-key"}, 403, "certificate_forbidden"},
		{none, "/key", []string{"Api-Key", "web-key"}, 403, "certificate_forbidden"},
	} {
		if status, body, _ := r.fetch(test.client, test.path, test.header...); status != test.status || !strings.Contains(body, test.body) {
			t.Errorf("%s: %d %s, want %d %s", test.path, status, body, test.status, test.body)
		}
	}
	for what, cert := range map[string]tls.Certificate{
		"of strangers": strangers.client("orders", "", time.Hour), "expired": clients.client("orders", "", -time.Minute),
	} {
		if status, body, _ := r.fetch(browser(t, cert), "/open"); status != 0 {
			t.Errorf("a certificate %s: %d %s", what, status, body)
		}
	}
	// Explain takes the certificate in PEM; the key is nobody's business.
	for signer, want := range map[*authority]string{clients: `"client certificate","result":"ok","detail":"subject CN=orders,O=acme"`, strangers: `"reason":"certificate_forbidden","detail":"the certificate of`} {
		cert, _ := signer.issue("orders", "", time.Hour)
		body := must(json.Marshal(map[string]string{"target": "/named", "client_certificate": string(cert)}))
		if answer := text(r.admin("POST", "/v1/explain", string(body))); !strings.Contains(strings.Join(strings.Fields(answer), ""), strings.ReplaceAll(want, " ", "")) {
			t.Errorf("explained: %s, want %s", answer, want)
		}
	}
	testReplacedAuthority(t, r, v, orders, files, strangers)
}

// Connections that were made with a certificate of authorities that are no
// longer believed get nothing more.
func testReplacedAuthority(t *testing.T, r *rig, v *volume, orders *http.Client, files map[string][]byte, strangers *authority) {
	t.Helper()
	files["ca.pem"] = strangers.pem()
	v.swap(files)
	known := browser(t, strangers.client("orders", "", time.Hour))
	r.eventually("asking for the new authority", func() bool { status, _, _ := r.fetch(known, "/named"); return status == 200 })
	if status, body, _ := r.fetch(orders, "/open"); status != 403 || !strings.Contains(body, "certificate_forbidden") {
		t.Errorf("on the old connection: %d %s", status, body)
	}
	r.eventually("closing the old connection", func() bool { status, _, _ := r.fetch(orders, "/open"); return status == 0 })
}

// A connection lives no longer than its certificate; with `require`, the default,
// none is made without one.
func TestClientCertificateExpires(t *testing.T) {
	t.Parallel()
	server, clients := newAuthority(t, "server"), newAuthority(t, "clients")
	files := pemFiles(server, "gw")
	files["ca.pem"] = clients.pem()
	r := secured(t, newVolume(t, files), ", client_ca_file: FOLDER/ca.pem", "  - {name: open, match: /open, upstream: UPSTREAM, auth: none}\n")
	if status, body, _ := r.fetch(browser(t), "/open"); status != 0 {
		t.Errorf("without: %d %s", status, body)
	}
	brief := browser(t, clients.client("orders", "", 2*time.Second))
	if status, body, _ := r.fetch(brief, "/open"); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	r.eventually("refusing it", func() bool {
		status, body, _ := r.fetch(brief, "/open")
		return status == 403 && strings.Contains(body, "certificate_forbidden")
	})
}

func TestTLSVersions(t *testing.T) {
	t.Parallel()
	server := newAuthority(t, "server")
	r := secured(t, newVolume(t, pemFiles(server, "gw")), "", "  - {name: open, match: /open/, upstream: UPSTREAM, auth: none}\n")
	for _, test := range []struct {
		name    string
		offered *tls.Config
		version uint16 // 0: no agreement
		proto   string
	}{
		{"all", &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, tls.VersionTLS13, "h2"},
		{"HTTP/1.1", &tls.Config{NextProtos: []string{"http/1.1"}}, tls.VersionTLS13, "http/1.1"},
		{"no ALPN", &tls.Config{}, tls.VersionTLS13, ""},
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, tls.VersionTLS12, ""},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, 0, ""},
		{"3DES and RC4", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}}, 0, ""},
		{"no forward secrecy", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, 0, ""},
	} {
		test.offered.RootCAs, test.offered.ServerName = server.pool(), "gw"
		conn, err := tls.Dial("tcp", r.Addr().String(), test.offered)
		if test.version == 0 {
			if err == nil {
				t.Errorf("%s: agreed", test.name)
				conn.Close()
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if s := conn.ConnectionState(); s.Version != test.version || s.NegotiatedProtocol != test.proto {
			t.Errorf("%s: %x %q", test.name, s.Version, s.NegotiatedProtocol)
		}
		conn.Close()
	}
}
