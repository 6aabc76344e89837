package keyset

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth/outbound"
)

// The URL is the configuration's, and one by which nobody on the way can change
// keys. Neither redirects nor the environment lead elsewhere.
func TestQ01URLs(t *testing.T) {
	for url, want := range map[string]string{
		"https://idp.example.com/keys?tenant=1":  "",
		"http://127.0.0.1:8080/keys":             "",
		"http://[::1]/keys":                      "",
		"http://localhost/keys":                  "",
		"http://idp.example.com/keys":            "on the way",
		"http://10.0.0.1/keys":                   "on the way",
		"http://127.0.0.1.example.com/keys":      "on the way",
		"http://localhost.example.com/keys":      "on the way",
		"https://user:secret@idp.example.com/":   "credentials",
		"https://idp.example.com/keys#x":         "fragment",
		"file:///etc/passwd":                     "is not a URL",
		"ftp://idp.example.com/":                 "is not a URL",
		"unix:///run/keys.sock":                  "is not a URL",
		"https:///keys":                          "is not a URL",
		"https://:443/keys":                      "is not a URL",
		"idp.example.com/keys":                   "is not a URL",
		"https://idp.example.com/\x7f":           "is not a URL",
		"https://idp.example.com/keys\r\nX: y":   "is not a URL",
		"https:idp.example.com":                  "is not a URL",
		"//idp.example.com/keys":                 "is not a URL",
		"http://169.254.169.254/latest/metadata": "on the way",
	} {
		cfg := remoteConfig(newRingStore())
		cfg.URL = url
		if _, err := NewRemote(cfg); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want %q", url, err, want)
		}
	}
	for _, issuer := range []string{"https://idp.example.com/?tenant=1", "https://idp.example.com/?"} {
		cfg := remoteConfig(newRingStore())
		cfg.URL, cfg.Discovery = "", issuer
		if _, err := NewRemote(cfg); err == nil || !strings.Contains(err.Error(), "has a query") {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

func TestQ01NoRedirectNoProxy(t *testing.T) {
	a := newKey(t, "a")
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere++
		_, _ = w.Write(set(a.jwk))
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(other.URL, status))
		cfg := remoteConfig(newRingStore())
		cfg.URL = server.URL
		log := logged(&cfg)
		r := newRemote(t, cfg)
		r.Load(t.Context())
		server.Close()
		if r.Ready() || elsewhere > 0 || !strings.Contains(log.String(), "redirects are not followed") {
			t.Errorf("%d: ready %t, asked elsewhere %d times, logged %s", status, r.Ready(), elsewhere, log)
		}
	}
	// The environment is read once in a process, so that setting it proves nothing.
	if newRemote(t, remoteConfig(newRingStore())).client.Transport.(*http.Transport).Proxy != nil {
		t.Error("the transport asks the environment for a proxy")
	}
}

func TestRemoteTLS(t *testing.T) {
	a := newKey(t, "a")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.Header.Get("Authorization")+r.Header.Get("Cookie") != "" || r.Header.Get("User-Agent") != "gatehouse" || !strings.Contains(r.Header.Get("Accept"), "application/jwk-set+json") {
			t.Errorf("asked %s with %v", r.Method, r.Header)
		}
		_, _ = w.Write(set(a.jwk))
	}))
	server.TLS = &tls.Config{MaxVersion: tls.VersionTLS12}
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	load := func(roots *x509.CertPool) (*Remote, string) {
		cfg := remoteConfig(newRingStore())
		cfg.URL, cfg.TLS = server.URL, &tls.Config{RootCAs: roots}
		log := logged(&cfg)
		r := newRemote(t, cfg)
		r.Load(t.Context())
		return r, log.String()
	}
	if r, log := load(roots); !r.Ready() {
		t.Error(log)
	}
	if r, log := load(nil); r.Ready() || !strings.Contains(log, "certificate") {
		t.Errorf("a certificate that nobody vouches for: %s", log)
	}
	server.TLS.MaxVersion = tls.VersionTLS11
	server.TLS.MinVersion = tls.VersionTLS10
	if r, log := load(roots); r.Ready() || !strings.Contains(log, "protocol version") {
		t.Errorf("TLS 1.1: %s", log)
	}
}

// Answers that are too much are not taken, and cost no more than their bounds.
func TestQ07Bounds(t *testing.T) {
	a := newKey(t, "a")
	good := string(set(a.jwk))
	padded := func(n int) string { return good + strings.Repeat(" ", n-len(good)) }
	many := func(n int) string {
		keys := []string{a.jwk}
		for len(keys) < n {
			keys = append(keys, strings.Replace(a.jwk, `"a"`, `"`+strings.Repeat("a", len(keys)+1)+`"`, 1))
		}
		return string(set(keys...))
	}
	squeezed := func(text string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return b.Bytes()
	}
	gzipped := func(text string) http.HandlerFunc {
		body := squeezed(text)
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(body)
		}
	}
	plain := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // in the log; empty: the keys are taken
	}{
		"good":        {plain(good), ""},
		"the largest": {plain(padded(maxSetBytes)), ""},
		"too large":   {plain(padded(maxSetBytes + 1)), "more than 524288 bytes"},
		"compressed":  {gzipped(good), ""},
		"a bomb":      {gzipped(padded(1 << 26)), "more than 524288 bytes"},
		"no gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte(good))
		}, "gzip"},
		"100 keys": {plain(many(100)), ""},
		"101 keys": {plain(many(101)), "at most 100"},
		"any type": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(good))
		}, ""},
		"deep":          {plain(`{"keys":` + strings.Repeat("[", 100_000)), "no JSON Web Key Set"},
		"deep in a key": {plain(`{"keys":[` + strings.Repeat(`{"x":`, 9_000) + "1" + strings.Repeat("}", 9_000) + `]}`), "no key that can be used"},
		"a huge header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", outbound.MaxHeaderBytes))
			_, _ = w.Write([]byte(good))
		}, "exceeded"},
		"a header of marks": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["X"] = slices.Repeat([]string{"y"}, 20_000)
			_, _ = w.Write([]byte(good))
		}, "exceeded"},
		"cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9999")
			_, _ = w.Write([]byte(good))
		}, "unexpected EOF"},
		"without an end":      {func(w http.ResponseWriter, r *http.Request) { endless(w, r, strings.Repeat(" ", 4096), 0) }, "more than 524288 bytes"},
		"byte by byte":        {func(w http.ResponseWriter, r *http.Request) { endless(w, r, " ", time.Second) }, "deadline exceeded"},
		"not at all":          {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline exceeded"},
		"hint upon hint":      {func(w http.ResponseWriter, r *http.Request) { hints(w, r) }, "exceeded"},
		"a long kid in a set": {plain(strings.Replace(good, `"a"`, `"`+strings.Repeat("a", 129)+`"`, 1)), "longer than 128"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := startIDP(t)
				from.handle(c.answer)
				cfg := remoteConfig(newRingStore())
				log := logged(&cfg)
				r := newRemote(t, cfg)
				from.reach(r)
				began := time.Now()
				r.Load(t.Context())
				if took := time.Since(began); took > fetchTime {
					t.Errorf("it took %s", took)
				}
				if r.Ready() != (c.want == "") || !strings.Contains(log.String(), c.want) {
					t.Errorf("ready %t, want %q, logged %.600s", r.Ready(), c.want, log)
				}
				if log.Len() > 8<<10 {
					t.Errorf("%d bytes are logged", log.Len())
				}
			})
		})
	}
}

// endless writes until the client is gone.
func endless(w http.ResponseWriter, r *http.Request, text string, pause time.Duration) {
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		time.Sleep(pause)
	}
}

func hints(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Link", strings.Repeat("x", 1000))
	for range 1000 {
		if w.WriteHeader(http.StatusEarlyHints); r.Context().Err() != nil {
			return
		}
	}
}

func TestDiscovery(t *testing.T) {
	a := newKey(t, "a")
	const openid, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	document := func(issuer, jwksURI string) string {
		text, _ := json.Marshal(map[string]any{"issuer": issuer, "jwks_uri": jwksURI, "other": []int{1}})
		return string(text)
	}
	const host, local = "https://idp.example.com", "http://127.0.0.1:8080"
	for name, c := range map[string]struct {
		issuer string
		pages  map[string]string // by path; "" is 404
		want   string            // in the log; empty: the keys are taken
	}{
		"openid":                {host, map[string]string{openid: document(host, host+"/keys")}, ""},
		"openid with a path":    {host + "/a/b", map[string]string{"/a/b" + openid: document(host+"/a/b", host+"/keys")}, ""},
		"a slash at the end":    {host + "/", map[string]string{openid: document(host+"/", host+"/keys")}, ""},
		"a path and a slash":    {host + "/a/", map[string]string{"/a" + openid: document(host+"/a/", host+"/keys")}, ""},
		"oauth":                 {host, map[string]string{oauth: document(host, host+"/keys")}, ""},
		"oauth with a path":     {host + "/a/b", map[string]string{oauth + "/a/b": document(host+"/a/b", host+"/keys")}, ""},
		"oauth, path and slash": {host + "/a/", map[string]string{oauth + "/a": document(host+"/a/", host+"/keys")}, ""},
		"an escaped path":       {host + "/a%2Fb", map[string]string{"/a%2Fb" + openid: document(host+"/a%2Fb", host+"/keys")}, ""},
		"keys on another host":  {host, map[string]string{openid: document(host, "https://keys.example.net/keys")}, ""},
		"all on loopback":       {local, map[string]string{openid: document(local, local+"/keys")}, ""},
		"nothing":               {host, nil, "status 404"},
		"another issuer":        {host, map[string]string{openid: document("https://evil.example.com", host+"/keys")}, "are those of the issuer"},
		"nearly the issuer":     {host, map[string]string{openid: document(host+"/", host+"/keys")}, "byte for byte"},
		"another's, then ours":  {host, map[string]string{openid: document(host+"/", host+"/keys"), oauth: document(host, host+"/keys")}, "are those of the issuer"},
		"no issuer":             {host, map[string]string{openid: `{"jwks_uri":"` + host + `/keys"}`}, "are those of the issuer"},
		"no keys":               {host, map[string]string{openid: document(host, "")}, "jwks_uri is not a URL"},
		"a file":                {host, map[string]string{openid: document(host, "file:///etc/passwd")}, "jwks_uri is not a URL"},
		"keys in clear":         {host, map[string]string{openid: document(host, "http://idp.example.com/keys")}, "on the way"},
		"keys on this machine":  {host, map[string]string{openid: document(host, local+"/keys")}, "jwks_uri is not https"},
		"credentials":           {host, map[string]string{openid: document(host, "https://a:b@idp.example.com/keys")}, "credentials"},
		"not JSON":              {host, map[string]string{openid: "<html>"}, "invalid character"},
		"wrong types":           {host, map[string]string{openid: `{"issuer":["` + host + `"],"jwks_uri":1}`}, "cannot unmarshal"},
		"more than may be":      {host, map[string]string{openid: document(host, host+"/keys") + strings.Repeat(" ", maxSetBytes)}, "more than 524288 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := startIDP(t)
				pages := maps.Clone(c.pages)
				from.handle(func(w http.ResponseWriter, r *http.Request) {
					switch text := pages[r.URL.EscapedPath()]; {
					case r.URL.Path == "/keys":
						_, _ = w.Write(set(a.jwk))
					case text == "":
						http.NotFound(w, r)
					default:
						_, _ = io.WriteString(w, text)
					}
				})
				cfg := remoteConfig(newRingStore())
				cfg.URL, cfg.Discovery = "", c.issuer
				log := logged(&cfg)
				r := newRemote(t, cfg)
				from.reach(r)
				r.Load(t.Context())
				if r.Ready() != (c.want == "") || !strings.Contains(log.String(), c.want) {
					t.Errorf("ready %t, want %q, logged %s", r.Ready(), c.want, log)
				}
			})
		})
	}
}

// An issuer that has trouble is not taken for one without metadata.
func TestDiscoveryFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t) // 503
		cfg := remoteConfig(newRingStore())
		cfg.URL, cfg.Discovery = "", "https://idp.example.com"
		r := newRemote(t, cfg)
		from.reach(r)
		r.Load(t.Context())
		if n := len(from.times()); r.Ready() || n != 1 {
			t.Errorf("ready %t, asked %d times", r.Ready(), n)
		}
	})
}
