package users

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/auth/token"
)

// service answers every question alike and keeps what it was asked.
type service struct {
	status  int
	answer  string
	asked   []string // method, path, content type, body
	release chan struct{}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.asked = append(s.asked, fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), body))
	if s.release != nil {
		<-s.release
	}
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.answer)
}

// serve returns a source that asks the service.
func serve(t testing.TB, s *service, lookup string) *HTTP {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	cfg := HTTPConfig{Name: "service", URL: server.URL + "/verify", Timeout: 10 * time.Second}
	if lookup != "" {
		cfg.LookupURL = server.URL + lookup
	}
	h, err := NewHTTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func TestHTTPLogin(t *testing.T) {
	s := &service{status: 200, answer: `{"id":"u-1","email":"a@example.com","claims":{"n":12345678901234567890.10,"roles":["x"]}}`}
	r, err := serve(t, s, "").login(t.Context(), "anna", `pa"ss`+"\u2028wörd")
	if err != nil || r.ID != "u-1" || r.Email != "a@example.com" || string(r.Claims["n"]) != "12345678901234567890.10" || string(r.Claims["roles"]) != `["x"]` {
		t.Errorf("the user is %+v, %v", r, err)
	}
	want := `POST /verify application/json {"password":"pa\"ss` + "\u2028" + `wörd","username":"anna"}`
	if len(s.asked) != 1 || s.asked[0] != want {
		t.Errorf("it is asked\n%s\nwant\n%s", s.asked, want)
	}
}

func TestHTTPAnswers(t *testing.T) {
	for _, c := range []struct {
		status int
		answer string
		id     string // empty: an error with that text
		err    string
	}{
		{200, `{"id":"1"}`, "1", ""},
		{200, `{"id":12345678901234567890123}`, "12345678901234567890123", ""},
		{200, ` {"id":"1","claims":null,"email":null} ` + "\n", "1", ""},
		{200, `{"id":1.5}`, "", "no id that is a string or an integer"},
		{200, `{"id":1e3}`, "", "no id that is"},
		{200, `{"id":true}`, "", "no id that is"},
		{200, `{"claims":{}}`, "", "no id that is"},
		{200, `{"id":null}`, "", "the id is empty"},
		{200, `{"id":""}`, "", "the id is empty"},
		{200, `{"id":"a\nb"}`, "", "the id is not text"},
		{200, `{"id":"1","name":"x"}`, "", "id, email, claims and disabled alone, unlike /name"},
		{200, `{"ID":"1"}`, "", "unlike /ID"},
		{200, `{"id":"1","id":"2"}`, "", "must be a JSON object"},
		{200, `{"id":"1","claims":{"a":{"b":1,"b":2}}}`, "", "must be a JSON object"},
		{200, `{"id":"1","claims":[]}`, "", "unlike /claims"},
		{200, `{"id":"1","disabled":"no"}`, "", "unlike /disabled"},
		{200, `{"id":"1"} {}`, "", "must be a JSON object"},
		{200, `["1"]`, "", "must be a JSON object"},
		{200, "", "", "must be a JSON object"},
		{200, `{"id":"` + strings.Repeat("1", maxAnswerBytes) + `"}`, "", "more than 65536 bytes"},
		{200, "{\"id\":\"\xff\"}", "", "must be a JSON object"},
		{401, `{"id":"1"}`, "", errUnknown.Error()},
		{201, `{"id":"1"}`, "", "with status 201"},
		{204, "", "", "with status 204"},
		{302, "", "", "with status 302"},
		{307, "", "", "with status 307"},
		{400, "", "", "with status 400"},
		{403, "", "", "with status 403"},
		{404, "", "", "with status 404"},
		{429, "", "", "with status 429"},
		{500, `{"id":"1"}`, "", "with status 500"},
	} {
		s := &service{status: c.status, answer: c.answer}
		d, _ := counting(t, serve(t, s, ""))
		r, err := d.ask(t.Context(), d.cfg.Sources[0], "anna", "secret-password")
		if c.id != "" && (err != nil || r.ID != c.id) || c.id == "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%d %.60s: %q, %v; want %q, %q", c.status, c.answer, r.ID, err, c.id, c.err)
		}
		if errors.Is(err, errUnknown) != (c.status == 401) {
			t.Errorf("%d: %v", c.status, err)
		}
		if len(s.asked) != 1 {
			t.Errorf("%d: it is asked %d times", c.status, len(s.asked))
		}
	}
}

// A good beginning is no answer, nor is one behind more header than there can be.
func TestHTTPAnswersThatAreNotWhole(t *testing.T) {
	for name, value := range map[string]string{"Content-Length": "100", "X": strings.Repeat("x", maxAnswerBytes)} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(name, value)
			_, _ = io.WriteString(w, `{"id":"1"}`)
		}))
		t.Cleanup(server.Close)
		h, err := NewHTTP(HTTPConfig{Name: "service", URL: server.URL, Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Close)
		if r, err := h.login(t.Context(), "anna", "x"); err == nil || errors.Is(err, errUnknown) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// JSON cannot say it, so it would be another password that is verified.
func TestHTTPSendsNoOtherPassword(t *testing.T) {
	s := &service{status: 200, answer: `{"id":"1"}`}
	if r, err := serve(t, s, "").login(t.Context(), "anna", "a\xff"); !errors.Is(err, errUnknown) || len(s.asked) > 0 {
		t.Errorf("%+v, %v, asked %q", r, err, s.asked)
	}
}

func TestHTTPReread(t *testing.T) {
	session := token.Session{Username: "anna", Subject: "1", Source: "service", Claims: []byte(`{"email":"a@example.com","n":1.50}`)}
	for _, status := range []int{401, 404, 410} {
		if _, err := serve(t, &service{status: status}, "/lookup").reread(t.Context(), session); !errors.Is(err, errUnknown) {
			t.Errorf("%d: %v", status, err)
		}
	}
	for _, status := range []int{302, 403, 500} {
		if _, err := serve(t, &service{status: status}, "/lookup").reread(t.Context(), session); err == nil || errors.Is(err, errUnknown) {
			t.Errorf("%d: %v", status, err)
		}
	}
	s := &service{status: 200, answer: `{"id":1,"email":"new@example.com","claims":{"role":"admin"}}`}
	r, err := serve(t, s, "/lookup").reread(t.Context(), session)
	if err != nil || r.ID != "1" || r.Email != "new@example.com" || string(r.Claims["role"]) != `"admin"` {
		t.Errorf("the user is %+v, %v", r, err)
	}
	if want := `POST /lookup application/json {"id":"1","username":"anna"}`; s.asked[0] != want {
		t.Errorf("it is asked %s, want %s", s.asked[0], want)
	}
	d, _ := counting(t, serve(t, &service{status: 200, answer: `{"id":"1","disabled":true}`}, "/lookup"))
	if _, err := d.Reread(t.Context(), session); !errors.Is(err, token.ErrLogin) {
		t.Errorf("a disabled user: %v", err)
	}
}

func TestHTTPRereadWithoutLookup(t *testing.T) {
	s := &service{status: 500}
	h := serve(t, s, "")
	r, err := h.reread(t.Context(), token.Session{Subject: "1", Claims: []byte(`{"email":"a@example.com","n":1.50}`)})
	if err != nil || r.ID != "1" || string(r.Claims["n"]) != "1.50" || string(r.Claims["email"]) != `"a@example.com"` || len(s.asked) > 0 {
		t.Errorf("the user is %+v, %v, asked %q", r, err, s.asked)
	}
	if r, err := h.reread(t.Context(), token.Session{Subject: "1"}); err != nil || r.ID != "1" {
		t.Errorf("without claims: %+v, %v", r, err)
	}
	if _, err := h.reread(t.Context(), token.Session{Subject: "1", Claims: []byte(`[`)}); err == nil || errors.Is(err, errUnknown) {
		t.Errorf("with claims that are none: %v", err)
	}
}

func TestHTTPTimeout(t *testing.T) {
	s := &service{status: 200, answer: `{"id":"1"}`, release: make(chan struct{})}
	h := serve(t, s, "")
	defer close(s.release)
	h.cfg.Timeout = 50 * time.Millisecond
	began := time.Now()
	_, err := h.login(t.Context(), "anna", "secret-password")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("the error is %v", err)
	}
}

// muteListener accepts connections and says nothing on them, until it is told to
// let the server have them.
type muteListener struct {
	net.Listener
	speaks atomic.Bool
}

func (l *muteListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.speaks.Load() {
			return c, err
		}
		defer c.Close()
	}
}

// net/http goes on with a connection that nobody waits for any more. A service
// that accepted and then hung must not have used up the connections for good.
func TestHTTPConnectionsThatHangAreLetGo(t *testing.T) {
	s := &service{status: 200, answer: `{"id":"1"}`}
	server := httptest.NewUnstartedServer(s)
	mute := &muteListener{Listener: server.Listener}
	server.Listener = mute
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	h, err := NewHTTP(HTTPConfig{Name: "service", URL: server.URL, Timeout: 500 * time.Millisecond, TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	h.client.Transport.(*http.Transport).MaxConnsPerHost = 1
	if r, err := h.login(t.Context(), "anna", "x"); err == nil || errors.Is(err, errUnknown) {
		t.Fatalf("a service that says nothing: %+v, %v", r, err)
	}
	mute.speaks.Store(true)
	for began := time.Now(); ; {
		if _, err = h.login(t.Context(), "anna", "x"); err == nil {
			return
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("long after the service speaks again: %v", err)
		}
	}
}

// Passwords go to the service and nowhere else.
func TestHTTPTakesNoProxyFromTheEnvironment(t *testing.T) {
	proxy := &service{status: 200, answer: `{"id":"1"}`}
	server := httptest.NewServer(proxy)
	defer server.Close()
	t.Setenv("HTTP_PROXY", server.URL)
	h, err := NewHTTP(HTTPConfig{Name: "service", URL: "http://users.invalid/verify", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if h.client.Transport.(*http.Transport).Proxy != nil {
		t.Error("the transport has a proxy")
	}
	if r, err := h.login(t.Context(), "anna", "x"); err == nil || len(proxy.asked) > 0 {
		t.Errorf("%+v, %v; the proxy hears %q", r, err, proxy.asked)
	}
}

func TestNewHTTP(t *testing.T) {
	good := HTTPConfig{Name: "service", URL: "https://users.example.com/verify", Timeout: time.Second}
	for name, change := range map[string]func(*HTTPConfig){
		"":              func(*HTTPConfig) {},
		"no name":       func(c *HTTPConfig) { c.Name = "" },
		"no URL":        func(c *HTTPConfig) { c.URL = "" },
		"no timeout":    func(c *HTTPConfig) { c.Timeout = 0 },
		"other scheme":  func(c *HTTPConfig) { c.URL = "ftp://users.example.com" },
		"no host":       func(c *HTTPConfig) { c.URL = "https:///verify" },
		"malformed":     func(c *HTTPConfig) { c.URL = "https://[::1/verify" },
		"no URL at all": func(c *HTTPConfig) { c.URL = "verify" },
		"lookup":        func(c *HTTPConfig) { c.LookupURL = "lookup" },
	} {
		cfg := good
		change(&cfg)
		if _, err := NewHTTP(cfg); (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A private authority is believed where it is named, and nowhere else.
func TestHTTPPrivateAuthority(t *testing.T) {
	s := &service{status: http.StatusOK, answer: `{"id":"u1"}`}
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for _, believed := range []*tls.Config{{RootCAs: roots}, nil} {
		h, err := NewHTTP(HTTPConfig{Name: "service", URL: server.URL, Timeout: 10 * time.Second, TLS: believed})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Close)
		if _, err := h.login(t.Context(), "a", "b"); (err == nil) != (believed != nil) {
			t.Errorf("%t: %v", believed != nil, err)
		}
	}
}
