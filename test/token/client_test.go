package token_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/test/rig"
)

// ordinary is a program that follows a guide: an HTTP client as everybody has.
type ordinary struct {
	t    *testing.T
	base string
	http *http.Client
}

func (w *world) client(t *testing.T) *ordinary {
	c := &http.Client{Timeout: rig.Patience}
	t.Cleanup(c.CloseIdleConnections)
	return &ordinary{t: t, base: "http://" + w.Addr, http: c}
}

// reply is an answer that was read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

// do makes a request; headers are names and values in turn.
func (o *ordinary) do(method, path, body string, headers ...string) reply {
	o.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequest(method, o.base+path, reader)
	if err != nil {
		o.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a, err := o.http.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return reply{a.StatusCode, a.Header, string(text)}
}

// form posts a form, as the guides ask for.
func (o *ordinary) form(path string, fields url.Values) reply {
	o.t.Helper()
	return o.do("POST", path, fields.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Accept", "application/json")
}

// want checks a reply's status and returns its JSON body.
func (o *ordinary) want(r reply, status int) map[string]any {
	o.t.Helper()
	if r.status != status {
		o.t.Fatalf("the answer is %d %s, want %d", r.status, r.body, status)
	}
	kind := r.header.Get("Content-Type")
	if !strings.HasPrefix(kind, "application/json") && !strings.HasPrefix(kind, "application/problem+json") {
		o.t.Fatalf("Content-Type %q", kind)
	}
	return object(o.t, r.body)
}

// kept checks that nobody on the way may store a reply.
func (o *ordinary) kept(r reply) {
	o.t.Helper()
	if r.header.Get("Cache-Control") != "no-store" {
		o.t.Errorf("Cache-Control %q", r.header.Get("Cache-Control"))
	}
}

// kept calls the upstream with a token, each time on the same connection.
func (w *world) kept(t testing.TB) func(t testing.TB, access string) {
	c := &http.Client{Timeout: rig.Patience}
	t.Cleanup(c.CloseIdleConnections)
	return func(t testing.TB, access string) {
		r, err := http.NewRequest(http.MethodGet, "http://"+w.Addr+"/api/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+access)
		a, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, a.Body)
		_ = a.Body.Close()
		if a.StatusCode != http.StatusOK {
			t.Fatalf("a call is answered %s", a.Status)
		}
	}
}
