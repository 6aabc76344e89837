package endpoint

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// engine answers what the test says, and remembers what it was asked. Who asks
// is left out of that, and remembered apart.
type engine struct {
	grant        token.Grant
	token        *auth.Token
	introspected token.Introspected
	err          error

	calls  []any
	caller auth.Caller
}

// asked remembers a call. The caller is taken out of it.
func (e *engine) asked(r *token.Request, call func() any) {
	e.caller, r.Caller = r.Caller, auth.Caller{}
	e.calls = append(e.calls, call())
}

func (e *engine) granted() (token.Grant, error) {
	if e.err != nil {
		return token.Grant{}, e.err
	}
	return e.grant, nil
}

func (e *engine) verified() (*auth.Token, error) {
	if e.err != nil {
		return nil, e.err
	}
	return e.token, nil
}

func (e *engine) Password(_ context.Context, g token.PasswordGrant) (token.Grant, error) {
	e.asked(&g.Request, func() any { return g })
	return e.granted()
}

func (e *engine) Refresh(_ context.Context, g token.RefreshGrant) (token.Grant, error) {
	e.asked(&g.Request, func() any { return g })
	return e.granted()
}

func (e *engine) ClientCredentials(_ context.Context, g token.ClientCredentialsGrant) (token.Grant, error) {
	e.asked(&g.Request, func() any { return g })
	return e.granted()
}

func (e *engine) ClientSecret(_ context.Context, g token.ClientSecretGrant) (token.Grant, error) {
	e.asked(&g.Request, func() any { return g })
	return e.granted()
}

func (e *engine) Exchange(_ context.Context, x token.Exchange) (token.Grant, error) {
	e.asked(&x.Request, func() any { return x })
	return e.granted()
}

func (e *engine) Revoke(_ context.Context, r token.Revocation) error {
	e.asked(&r.Request, func() any { return r })
	return e.err
}

func (e *engine) Logout(_ context.Context, l token.Logout) (*auth.Token, error) {
	e.asked(&l.Request, func() any { return l })
	return e.verified()
}

func (e *engine) Introspect(_ context.Context, i token.Introspection) (token.Introspected, error) {
	e.asked(&i.Request, func() any { return i })
	if e.err != nil {
		return token.Introspected{}, e.err
	}
	return e.introspected, nil
}

func (e *engine) Info(_ context.Context, i token.Info) (*auth.Token, error) {
	e.asked(&i.Request, func() any { return i })
	return e.verified()
}

// grant is what most tests are answered.
func grant() token.Grant {
	return token.Grant{
		AccessToken: "a.b.c", RefreshToken: "r2", ExpiresIn: time.Hour, Scopes: []string{"read", "write"},
		Subject: "user-1", SessionID: "s1", TokenID: "t1",
		User: token.User{ID: "user-1", Username: "jane", Email: "jane@example.com", Claims: map[string]json.RawMessage{
			"firstName": json.RawMessage(`"Jane"`), "lastName": json.RawMessage(`"Doe"`),
		}},
	}
}

// fixture is one endpoint over a fake engine.
type fixture struct {
	t        testing.TB
	cfg      Config
	engine   *engine
	endpoint *Endpoint
	caller   auth.Caller
	observed []string // operation and reason
}

// paths are where the tests have the dialects.
var paths = map[string]string{
	"oauth2": "/oauth2", "jsonapi": "/ma-authentication-ms/v1/api", "client_secret": "/", "password_form": "/auth/jwt", "envelope": "/v1",
}

func newFixture(t testing.TB, dialect string, change ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, engine: &engine{grant: grant()}}
	f.caller = auth.Caller{RequestID: "req-1", Address: netip.MustParseAddr("192.0.2.7"), Decision: auth.Decision{Reason: auth.OK}}
	f.cfg = Config{
		Engine: f.engine, Dialect: dialect, Path: paths[dialect],
		Observe: func(operation string, reason auth.Reason) {
			f.observed = append(f.observed, operation+" "+reason.String())
		},
	}
	switch dialect {
	case "oauth2":
		f.cfg.Issuer = "https://auth.example.com"
		f.cfg.JWKS = func() []byte { return []byte(`{"keys":[{"kty":"EC","kid":"k1"}]}`) }
	case "jsonapi":
		f.cfg.APIKeyHeader = "Api-Key"
		f.caller.Decision.Principal.APIKeyID = "web-app"
	case "envelope":
		f.cfg.ClientCredentialsPath = "/oauth/token"
	}
	for _, c := range change {
		c(&f.cfg)
	}
	var err error
	if f.endpoint, err = New(f.cfg); err != nil {
		t.Fatal(err)
	}
	return f
}

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	outcome auth.Outcome
}

// send sends a request that is written as HTTP has it, without version, Host
// and Content-Length: a line, header lines, an empty line, the body.
func (f *fixture) send(text string) answer {
	f.t.Helper()
	return f.serve(request(f.t, text))
}

func request(t testing.TB, text string) *http.Request {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	line, header, _ := strings.Cut(head, "\n")
	if header != "" {
		header = strings.ReplaceAll(header, "\n", "\r\n") + "\r\n"
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(fmt.Sprintf(
		"%s HTTP/1.1\r\nHost: gw.example.com\r\n%sContent-Length: %d\r\n\r\n%s", line, header, len(body), body))))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return r
}

func (f *fixture) serve(r *http.Request) answer {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.caller.Credentials = auth.Extract(r.Header, "Api-Key")
	a := answer{w, f.endpoint.ServeLocal(w, r, f.caller)}
	f.checkHeader(r, a)
	return a
}

// checkHeader checks what holds for every answer (A12).
func (f *fixture) checkHeader(r *http.Request, a answer) {
	f.t.Helper()
	h := a.Header()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff", "Content-Length": fmt.Sprint(a.Body.Len()),
	} {
		if a.Code == http.StatusOK && f.endpoint.operations[r.URL.Path].public {
			switch name {
			case "Cache-Control":
				want = "public, max-age=300"
			case "Pragma":
				want = ""
			}
		}
		if got := h.Get(name); got != want || len(h[name]) > 1 {
			f.t.Errorf("%s %s: %s is %q, want %q", r.Method, r.URL, name, h[name], want)
		}
	}
	if got := h["Set-Cookie"]; got != nil && f.cfg.Cookie == "" {
		f.t.Errorf("Set-Cookie: %q", got)
	}
	switch _, challenged := h["Www-Authenticate"]; {
	case challenged != (a.Code == http.StatusUnauthorized):
		f.t.Errorf("%d with WWW-Authenticate %q", a.Code, h["Www-Authenticate"])
	case (a.Code == http.StatusTooManyRequests || a.Code == http.StatusServiceUnavailable) != (h["Retry-After"] != nil):
		f.t.Errorf("%d with Retry-After %q", a.Code, h["Retry-After"])
	case (a.Code == http.StatusMethodNotAllowed) != (h["Allow"] != nil):
		f.t.Errorf("%d with Allow %q", a.Code, h["Allow"])
	case (a.Body.Len() > 0) != (h.Get("Content-Type") != ""):
		f.t.Errorf("%d bytes with Content-Type %q", a.Body.Len(), h["Content-Type"])
	}
}

// want checks status and body, to the letter.
func (f *fixture) want(a answer, status int, body string) {
	f.t.Helper()
	if body != "" {
		body += "\n"
	}
	if a.Code != status || a.Body.String() != body {
		f.t.Errorf("%d %s\nwant %d %s", a.Code, a.Body, status, body)
	}
}

// wantCalls checks what the engine was asked since the last time.
func (f *fixture) wantCalls(want ...any) {
	f.t.Helper()
	if len(f.engine.calls) != len(want) || len(want) > 0 && !reflect.DeepEqual(f.engine.calls, want) {
		f.t.Errorf("the engine was asked %+v\nwant %+v", f.engine.calls, want)
	}
	f.engine.calls = nil
}

// wantHeader checks one header; empty: it is not there.
func (f *fixture) wantHeader(a answer, name, want string) {
	f.t.Helper()
	if got := strings.Join(a.Header()[http.CanonicalHeaderKey(name)], " | "); got != want {
		f.t.Errorf("%s is %q, want %q", name, got, want)
	}
}

func by(client token.ClientAuth) token.Request { return token.Request{Client: client} }

// byKey is how the clients of jsonapi are known.
func byKey() token.Request { return by(token.ClientAuth{ID: "web-app", APIKey: true}) }

func basic(id, secret string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

const asForm, asJSON = "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json"

// now is when the tokens of the tests are verified.
var now = time.Unix(1_800_000_000, 0)

// signed is a token with these claims, and what the gate makes of it.
func signed(t testing.TB, claims map[string]any) (string, *auth.Token) {
	t.Helper()
	key, err := auth.NewSecretKey("k1", "HS256", []byte("Zq3t6w9z$C&F)J@NcRfUjXn2r5u8x/A%"))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := auth.Sign(key, "JWT", claims)
	if err != nil {
		t.Fatal(err)
	}
	issuer := &auth.Issuer{
		Name: "main", Issuer: "https://auth.example.com", AnyAudience: true, Keys: auth.NewStaticKeys([]*auth.Key{key}),
		MaxTokenBytes: 4 << 10, MaxTokenLife: 24 * time.Hour, SubjectClaim: "sub",
	}
	gate, err := auth.NewGate(auth.GateConfig{APIKeys: auth.NewAPIKeys(nil, nil), Issuers: []*auth.Issuer{issuer}, Revocations: noList{}})
	if err != nil {
		t.Fatal(err)
	}
	d := gate.Decide(&auth.Policy{Mode: auth.BearerOnly, Issuers: []*auth.Issuer{issuer}, Forward: &auth.Forward{}}, auth.BearerCredentials(compact), now)
	if d.Reason != auth.OK {
		t.Fatal(d.Reason)
	}
	return compact, d.Principal.Token
}

type noList struct{}

func (noList) Covers(auth.Kind, auth.RevocationKey, int64, int64) auth.Coverage {
	return auth.NotCovered
}

func (noList) Confirm(context.Context, auth.Revocation, int64, int64) (auth.Coverage, error) {
	return auth.NotCovered, nil
}
func (noList) Stale(time.Time) bool { return false }

// claims are those of an access token.
func claims() map[string]any {
	return map[string]any{
		"iss": "https://auth.example.com", "sub": "user-1", "aud": []string{"api"}, "exp": now.Unix() + 3600, "iat": now.Unix(), "nbf": now.Unix(),
		"jti": "t1", "sid": "s1", "auth_time": now.Unix() - 60, "client_id": "shop", "scope": "read", "email": "jane@example.com",
		"n": json.RawMessage("12345678901234567890.10"),
	}
}
