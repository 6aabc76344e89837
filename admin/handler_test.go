package admin

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

const adminToken = "an-admin-token-of-some-length"

var now = time.Date(2026, 5, 4, 12, 0, 0, 300_000_000, time.UTC)

// fake is everything that the handler sees of the rest of the process.
type fake struct {
	token     string
	parts     []Part
	issuers   []*auth.Issuer
	revoked   []auth.Revocation
	listFails int // fail the listing after that many entries; 0: never
	stored    []auth.APIKey
	sessions  []token.Session
	ended     []string
	storeErr  error
	listErr   error // of the revocation list, where memory is unsure
	reloadErr error
	reloads   int
	explained *http.Request
	log       strings.Builder
}

func newFake() *fake {
	return &fake{
		token:   adminToken,
		parts:   []Part{{Name: "config", State: StateOK}, {Name: "issuer main", State: StateDegraded, Detail: "keys cannot be had"}},
		issuers: []*auth.Issuer{{Name: "main", MaxTokenLife: 24 * time.Hour, Leeway: 10 * time.Second}},
	}
}

func (f *fake) Parts(time.Time) []Part { return f.parts }

func (f *fake) Status(time.Time) Status {
	return Status{Version: "1.2.3", Config: ConfigStatus{File: "gateway.yaml", LoadedAt: now.Add(-time.Hour)}}
}

func (f *fake) Routes() []Route         { return []Route{{Name: "orders", Match: "/orders/", Auth: "both"}} }
func (f *fake) Issuers() []*auth.Issuer { return f.issuers }
func (f *fake) APIKeys() []auth.APIKey {
	return []auth.APIKey{{ID: "web-app", SHA256: sha256.Sum256([]byte("a"))}}
}

func (f *fake) Revoke(_ context.Context, entry auth.Revocation) error {
	if f.storeErr == nil {
		f.revoked = append(f.revoked, entry)
	}
	return f.storeErr
}

func (f *fake) Revocations(_ context.Context, yield func(auth.Revocation) error) error {
	if f.storeErr != nil {
		return f.storeErr
	}
	for i, entry := range f.revoked {
		if f.listFails > 0 && i == f.listFails {
			return errors.New("connection lost")
		}
		if err := yield(entry); err != nil {
			return err
		}
	}
	return nil
}

// keyStore is the fake's side that keeps API keys.
type keyStore struct{ f *fake }

func (s keyStore) PutAPIKey(_ context.Context, key auth.APIKey) error {
	if s.f.storeErr == nil {
		s.f.stored = append(s.f.stored, key)
	}
	return s.f.storeErr
}

func (s keyStore) DeleteAPIKey(_ context.Context, sum [32]byte) error {
	s.f.stored = slices.DeleteFunc(s.f.stored, func(k auth.APIKey) bool { return k.SHA256 == sum })
	return s.f.storeErr
}

func (s keyStore) APIKeys(context.Context) ([]auth.APIKey, error) {
	return slices.Clone(s.f.stored), s.f.storeErr
}

func (f *fake) Reload(context.Context) error { f.reloads++; return f.reloadErr }

func (f *fake) Explain(r *http.Request, at time.Time) any {
	f.explained = r
	return map[string]any{"route": "orders", "at": at}
}

func (f *fake) config() Config {
	return Config{
		TokenSHA256: func() (sum [32]byte) {
			if f.token != "" {
				sum = sha256.Sum256([]byte(f.token))
			}
			return sum
		},
		Hosts:       []string{"gw1.example.com"},
		Metrics:     http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "gatehouse_up 1\n") }),
		Instance:    f,
		Config:      f,
		Revocations: f,
		Keys:        keyStore{f},
		Sessions:    sessionStore{f},
		List:        f,
		Reload:      f,
		Explain:     f,
		Log:         slog.New(slog.NewTextHandler(&f.log, nil)),
		Now:         func() time.Time { return now },
	}
}

// call sends a request with the admin token. A header that is given as empty
// is left out.
func (f *fake) call(t *testing.T, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := New(f.config())
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:9090"
	r.Header.Set("Authorization", "Bearer "+adminToken)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		switch {
		case headers[i] == "Host":
			r.Host = headers[i+1]
		case headers[i+1] == "":
			r.Header.Del(headers[i])
		default:
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	return w
}

// wantProblem checks that the answer is that problem and returns its detail.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code string) string {
	t.Helper()
	var p problem
	if err := json.Unmarshal(w.Body.Bytes(), &p, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if w.Code != status || p.Status != status || p.Code != code || p.Type != "urn:gatehouse:problem:"+code || p.Title == "" {
		t.Errorf("%d %s, want %d %s", w.Code, w.Body, status, code)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type is %q", got)
	}
	return p.Detail
}

// wantJSON checks status and type and decodes the answer.
func wantJSON[T any](t *testing.T, w *httptest.ResponseRecorder, status int) (v T) {
	t.Helper()
	if w.Code != status || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s, want %d and JSON", w.Code, w.Body, status)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return v
}

func TestNewWantsEveryPart(t *testing.T) {
	for name, remove := range map[string]func(*Config){
		"TokenSHA256": func(c *Config) { c.TokenSHA256 = nil },
		"Metrics":     func(c *Config) { c.Metrics = nil },
		"Instance":    func(c *Config) { c.Instance = nil },
		"Config":      func(c *Config) { c.Config = nil },
		"Revocations": func(c *Config) { c.Revocations = nil },
		"Keys":        func(c *Config) { c.Keys = nil },
		"Sessions":    func(c *Config) { c.Sessions = nil },
		"List":        func(c *Config) { c.List = nil },
		"Reload":      func(c *Config) { c.Reload = nil },
		"Explain":     func(c *Config) { c.Explain = nil },
		"Log":         func(c *Config) { c.Log = nil },
		"Now":         func(c *Config) { c.Now = nil },
	} {
		cfg := newFake().config()
		remove(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("a handler without %s", name)
		}
	}
}

func TestUnknownAddressAndMethod(t *testing.T) {
	f := newFake()
	for _, target := range []string{"/", "/nothing", "/v1/nothing", "/v1/", "/v1/keys/a/b", "/livez/", "/debug/pprof/"} {
		wantProblem(t, f.call(t, "GET", target, ""), 404, "not_found")
	}
	for _, tt := range []struct{ method, target, allow string }{
		{"POST", "/livez", "GET, HEAD"},
		{"DELETE", "/v1/revocations", "GET, HEAD, POST"},
		{"GET", "/v1/keys/a", "DELETE"},
		{"PUT", "/v1/status", "GET, HEAD"},
		{"OPTIONS", "/v1/reload", "POST"},
		{"TRACE", "/metrics", "GET, HEAD"},
	} {
		w := f.call(t, tt.method, tt.target, "")
		wantProblem(t, w, 405, "method_not_allowed")
		if got := w.Header().Get("Allow"); got != tt.allow {
			t.Errorf("%s %s: Allow is %q, want %q", tt.method, tt.target, got, tt.allow)
		}
	}
}

func TestMetrics(t *testing.T) {
	if w := newFake().call(t, "GET", "/metrics", "", "Authorization", ""); w.Code != 200 || w.Body.String() != "gatehouse_up 1\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestStatusAndRoutes(t *testing.T) {
	f := newFake()
	status := wantJSON[Status](t, f.call(t, "GET", "/v1/status", ""), 200)
	if status.Version != "1.2.3" || !status.Ready || len(status.Parts) != 2 || status.Config.File != "gateway.yaml" {
		t.Errorf("status is %+v", status)
	}
	routes := wantJSON[map[string][]Route](t, f.call(t, "GET", "/v1/routes", ""), 200)["routes"]
	if len(routes) != 1 || routes[0].Name != "orders" {
		t.Errorf("routes are %+v", routes)
	}
}

func TestReload(t *testing.T) {
	f := newFake()
	loaded := wantJSON[map[string]time.Time](t, f.call(t, "POST", "/v1/reload", ""), 200)["loaded_at"]
	if f.reloads != 1 || !loaded.Equal(now.Add(-time.Hour)) {
		t.Errorf("%d reloads, loaded at %s", f.reloads, loaded)
	}
	f.reloadErr = errors.New("gateway.yaml:3:1: atuh: unknown key")
	if detail := wantProblem(t, f.call(t, "POST", "/v1/reload", ""), 422, "config_invalid"); detail != f.reloadErr.Error() {
		t.Errorf("detail is %q", detail)
	}
}

// An error of ours is logged and not shown.
func TestErrorOfOurs(t *testing.T) {
	f := newFake()
	h, err := New(f.config())
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.answer(w, httptest.NewRequest("GET", "/v1/status", nil), errors.New("inner workings"))
	wantProblem(t, w, 500, "internal_error")
	if strings.Contains(w.Body.String(), "inner workings") || !strings.Contains(f.log.String(), "inner workings") {
		t.Errorf("answer %s, log %s", w.Body, &f.log)
	}
}
