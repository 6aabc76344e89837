package introspection

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What is no answer says nothing of the token, and what is said of it shows
// neither the token nor our secret.
func TestQ07NoAnswer(t *testing.T) {
	const json = "application/json"
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect is followed") }))
	defer elsewhere.Close()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write([]byte(`{"active":true,"a":"` + strings.Repeat("a", 1<<20) + `"}`))
	_ = z.Close()
	send := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		want   string
	}{
		"400":     {send(400, json, `{"active":true}`), "status 400"},
		"401":     {send(401, json, `{"active":false}`), "status 401: the issuer refuses us: look whether client_id and client_secret"},
		"403":     {send(403, json, `{"active":false}`), "client_id and client_secret"},
		"404":     {send(404, json, `{"active":false}`), "status 404"},
		"429":     {send(429, json, `{"active":false}`), "status 429"},
		"500":     {send(500, json, `{"active":true}`), "status 500"},
		"204":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "status 204"},
		"201":     {send(201, json, `{"active":true}`), "status 201"},
		"html":    {send(200, "text/html", `{"active":true}`), "Content-Type"},
		"jwt":     {send(200, "application/token-introspection+jwt", `{"active":true}`), "Content-Type"},
		"no type": {send(200, "", `{"active":true}`), "Content-Type"},
		"twice":   {send(200, json, `{"active":true,"active":true}`), "each name once"},
		"none":    {send(200, json, `{}`), "active"},
		"empty":   {send(200, json, ``), "JSON object"},
		"large":   {send(200, json, `{"active":true}`+strings.Repeat(" ", maxAnswerBytes)), "more than 65536 bytes"},
		"bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", json)
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, "more than 65536 bytes"},
		"without an end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", json)
			for r.Context().Err() == nil {
				_, _ = w.Write(bytes.Repeat([]byte(" "), 4096))
			}
		}, "more than 65536 bytes"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "redirects are not followed"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", json)
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"active":true}`))
		}, "unexpected EOF"},
		"silent": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		}, "deadline exceeded"},
		"slow body": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", json)
			_, _ = w.Write([]byte(`{"active":true`))
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		}, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Timeout = 300 * time.Millisecond })
			r.does(c.handle)
			i, err := r.Ask(t.Context(), "t0ken")
			if err == nil || i != nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%+v %v, want %q", i, err, c.want)
			}
			for _, secret := range []string{"t0ken", "s%c ret", "s%25c"} {
				if strings.Contains(err.Error()+r.log.String(), secret) {
					t.Errorf("%q is told: %v %s", secret, err, &r.log)
				}
			}
			if r.Inactive("t0ken", r.now) {
				t.Error("the token is held to be not good")
			}
		})
	}
}

// It does so also when the question has been sent already.
func TestAskedAgainOverANewConnection(t *testing.T) {
	r := newRig(t, nil)
	if _, err := r.Ask(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	closes := true
	r.does(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if closes {
			closes = false
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write([]byte(`{"active":true}`))
	})
	if i, err := r.Ask(t.Context(), "b"); err != nil || !i.Active || r.times() != 3 {
		t.Errorf("%+v %v, asked %d times", i, err, r.times())
	}
}

// An issuer that restarts closes connections that it is asked over next.
func TestIssuerRestarts(t *testing.T) {
	r := newRig(t, nil)
	for range 3 {
		if _, err := r.Ask(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		r.server.CloseClientConnections()
	}
	address := r.server.Listener.Addr().String()
	r.server.Close()
	if _, err := r.Ask(t.Context(), "a"); err == nil {
		t.Fatal("nobody answers, and there is an answer")
	}
	l := listen(t, address)
	again := &http.Server{Handler: r.server.Config.Handler}
	go func() { _ = again.Serve(l) }()
	defer again.Close()
	if _, err := r.Ask(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// A private authority is believed where it is named, and nowhere else.
func TestPrivateAuthority(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"active":true}`))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for want, config := range map[bool]*tls.Config{true: {RootCAs: roots}, false: nil} {
		r := newRig(t, func(c *Config) { c.URL, c.TLS = server.URL, config })
		if _, err := r.Ask(t.Context(), "a"); (err == nil) != want {
			t.Errorf("%t: %v", want, err)
		}
	}
	if transport := newRig(t, nil).client.Transport.(*http.Transport); transport.Proxy != nil {
		t.Error("the environment can lead elsewhere")
	}
}

// TestAnswerBounds: an answer may have as much as it may, no parameter of its type
// is overlooked, and no URL is in an error.
func TestAnswerBounds(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Now = nil })
	full := `{"active":true,"a":"` + strings.Repeat("x", maxAnswerBytes-len(`{"active":true,"a":""}`)) + `"}`
	for _, c := range []struct {
		kind, body string
		good       bool
	}{
		{"application/json; charset=utf-8", full, true},
		{"application/json", full + " ", false},
		{"application/json; charset", full, false},
	} {
		r.answer(200, c.kind, c.body)
		if i, err := r.Ask(t.Context(), "t0ken"); (err == nil) != c.good || c.good && time.Until(time.Unix(i.Until, 0)) > 30*time.Second {
			t.Errorf("%s, %d bytes: %v", c.kind, len(c.body), err)
		}
	}
	r.server.Close()
	if _, err := r.Ask(t.Context(), "t0ken"); err == nil || strings.Contains(err.Error(), "/introspect") {
		t.Errorf("%v", err)
	}
}
