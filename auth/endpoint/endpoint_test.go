package endpoint

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

var oauth2Paths = []string{
	"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/token",
}

// What is served is a handful of exact paths, so that a clash with a route can
// be told.
func TestA15PathsAreExact(t *testing.T) {
	for dialect, want := range map[string][]string{
		"oauth2": oauth2Paths,
		"jsonapi": {
			"/ma-authentication-ms/v1/api/oauth/token", "/ma-authentication-ms/v1/api/oauth/token/info",
			"/ma-authentication-ms/v1/api/oauth/token/refresh", "/ma-authentication-ms/v1/api/oauth/token/revoke",
		},
		"client_secret": {"/authenticate"},
		"password_form": {"/auth/jwt/login", "/auth/jwt/postman-refresh", "/auth/jwt/refresh"},
		"envelope":      {"/oauth/token", "/v1/login", "/v1/logout", "/v1/token"},
	} {
		f := newFixture(t, dialect)
		if got := f.endpoint.Paths(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", dialect, got, want)
		}
		if a := f.send("POST " + want[0] + "/more"); a.Code != 404 || a.outcome.Reason != auth.RouteNotFound {
			t.Errorf("%s: %d %+v", dialect, a.Code, a.outcome)
		}
	}
	_, err := New(Config{Engine: &engine{}, Observe: func(string, auth.Reason) {}, Dialect: "envelope", Path: "/oauth", ClientCredentialsPath: "/oauth/token"})
	if err == nil || !strings.Contains(err.Error(), "exchange") || !strings.Contains(err.Error(), "client_credentials") {
		t.Errorf("one path for two operations: %v", err)
	}
}

func TestNewChecksTheConfiguration(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"":               func(c *Config) { c.PublicURL = "http://auth.example.com/" },
		"no engine":      func(c *Config) { c.Engine = nil },
		"no observer":    func(c *Config) { c.Observe = nil },
		"dialect":        func(c *Config) { c.Dialect = "saml" },
		"no path":        func(c *Config) { c.Path = "" },
		"path":           func(c *Config) { c.Path = "oauth2" },
		"no keys":        func(c *Config) { c.JWKS = nil },
		"credentials":    func(c *Config) { c.Dialect = "envelope" },
		"cookie's place": func(c *Config) { c.Cookie = "__Host-a" },
		"cookie's name":  func(c *Config) { c.Dialect, c.Cookie = "password_form", "session" },
		"URL":            func(c *Config) { c.PublicURL = "auth.example.com" },
		"URL's scheme":   func(c *Config) { c.PublicURL = "ftp://auth.example.com" },
		"URL's query":    func(c *Config) { c.PublicURL = "https://auth.example.com?x=y" },
		"malformed URL":  func(c *Config) { c.PublicURL = "https://%zz" },
		"URL of no host": func(c *Config) { c.PublicURL = "https:///x" },
	} {
		cfg := newFixture(t, "oauth2").cfg
		change(&cfg)
		if _, err := New(cfg); (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// good is a request to each operation that the engine is asked about.
var good = []struct{ dialect, request string }{
	{"oauth2", "POST /oauth2/token\n" + asForm + "\n\nclient_id=shop&grant_type=password&username=jane&password=pw"},
	{"oauth2", "POST /oauth2/revoke\n" + asForm + "\n\nclient_id=shop&token=x"},
	{"oauth2", "POST /oauth2/introspect\n" + asForm + "\n\nclient_id=shop&token=x"},
	{"jsonapi", "POST /ma-authentication-ms/v1/api/oauth/token\n" + asJSON + "\n\n" + `{"username":"jane","password":"pw"}`},
	{"jsonapi", "POST /ma-authentication-ms/v1/api/oauth/token/refresh\n" + asJSON + "\n\n" + `{"refresh_token":"r1"}`},
	{"jsonapi", "GET /ma-authentication-ms/v1/api/oauth/token/revoke"},
	{"jsonapi", "GET /ma-authentication-ms/v1/api/oauth/token/info\nAuthorization: Bearer e30.e30.e30"},
	{"client_secret", "POST /authenticate\n" + asJSON + "\n\n" + `{"apiKey":"k","clientSecret":"s"}`},
	{"password_form", "POST /auth/jwt/login\n" + asForm + "\n\ngrant_type=password&username=jane&password=pw"},
	{"password_form", "POST /auth/jwt/refresh\nrefresh-token: r1"},
	{"password_form", "POST /auth/jwt/postman-refresh\n" + asForm + "\n\ngrant_type=refresh_token&refresh_token=r1"},
	{"envelope", "POST /v1/login\n" + asJSON + "\n\n" + `{"email":"jane","password":"pw"}`},
	{"envelope", "POST /v1/token"},
	{"envelope", "GET /v1/logout"},
	{"envelope", "POST /oauth/token\n" + asForm + "\n\ngrant_type=client_credentials&client_id=rep&client_secret=s"},
}

// Whatever the answer, no cache may keep it; send checks the headers.
func TestA12NothingIsCached(t *testing.T) {
	for _, g := range good {
		f := newFixture(t, g.dialect)
		_, f.engine.token = signed(t, claims())
		if a := f.send(g.request); a.Code != 200 {
			t.Errorf("%s: %d %s", g.request, a.Code, a.Body)
		}
		for _, reason := range auth.Reasons() {
			if reason == auth.OK || reason == auth.MethodNotAllowed {
				continue // not the engine's to say
			}
			f.engine.err = &token.Error{Reason: reason, RetryAfter: 90 * time.Second, Err: errors.New("secret cause")}
			a := f.send(g.request)
			if a.Code != reason.Status() && g.dialect != "oauth2" || a.outcome.Reason != reason || a.outcome.Detail != "secret cause" {
				t.Errorf("%s: %s: %d %+v", g.request, reason, a.Code, a.outcome)
			}
			if strings.Contains(a.Body.String(), "cause") {
				t.Errorf("%s: the cause is told: %s", g.request, a.Body)
			}
			if (a.Code == 429 || a.Code == 503) && a.Header().Get("Retry-After") != "90" {
				t.Errorf("Retry-After is %q", a.Header()["Retry-After"])
			}
		}
		f.engine.err = errors.New("a defect")
		if a := f.send(g.request); a.Code != 500 || a.outcome != (auth.Outcome{Detail: "a defect"}) || strings.Contains(a.Body.String(), "defect") {
			t.Errorf("%s: %d %s %+v", g.request, a.Code, a.Body, a.outcome)
		}
	}
}

// Why a user or client is refused must not show, whatever the engine says of it.
func TestDetailIsOfTheRequestsFormOnly(t *testing.T) {
	for reason, shown := range map[auth.Reason]bool{
		auth.RequestMalformed: true, auth.ClientForbidden: true, auth.ScopeInvalid: true,
		auth.CredentialsInvalid: false, auth.ClientInvalid: false, auth.GrantInvalid: false, auth.TokenClaims: false,
		auth.StoreUnavailable: false, auth.Undecided: false,
	} {
		for _, g := range good {
			f := newFixture(t, g.dialect)
			f.engine.err = &token.Error{Reason: reason, Detail: "more of it", Err: errors.New("why")}
			a := f.send(g.request)
			room := g.dialect != "jsonapi" && g.dialect != "client_secret" // the others' shapes are the contract's
			if strings.Contains(a.Body.String(), "more of it") != (shown && room) || a.outcome.Detail != "more of it: why" {
				t.Errorf("%s: %s: %s, %+v", g.dialect, reason, a.Body, a.outcome)
			}
		}
	}
}

func TestMethods(t *testing.T) {
	allowed := map[string]string{
		"/ma-authentication-ms/v1/api/oauth/token/revoke": "GET, POST", "/ma-authentication-ms/v1/api/oauth/token/info": "GET, HEAD",
		"/v1/token": "GET, POST", "/v1/logout": "GET, POST",
		"/.well-known/jwks.json": "GET, HEAD", "/.well-known/oauth-authorization-server": "GET, HEAD",
	}
	for dialect := range paths {
		f := newFixture(t, dialect)
		_, f.engine.token = signed(t, claims())
		for _, path := range f.endpoint.Paths() {
			want := allowed[path]
			if want == "" {
				want = "POST"
			}
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"} {
				a := f.send(method + " " + path)
				if ok := slices.Contains(strings.Split(want, ", "), method); ok == (a.Code == 405) {
					t.Errorf("%s %s: %d", method, path, a.Code)
				}
				if a.Code == 405 {
					f.wantHeader(a, "Allow", want)
				}
			}
		}
	}
}

// faulty is a body that cannot be read to its end.
type faulty struct{ err error }

func (b faulty) Read(p []byte) (int, error) { return copy(p, "grant"), b.err }
func (faulty) Close() error                 { return nil }

func TestA10BodiesThatCannotBeRead(t *testing.T) {
	for _, reason := range []auth.Reason{auth.RequestTooLarge, auth.RequestTimeout, auth.RequestMalformed, auth.ClientClosed} {
		f := newFixture(t, "oauth2")
		r := request(t, "POST /oauth2/token\n"+asForm)
		r.Body, r.ContentLength = faulty{fmt.Errorf("%w: %w", reason, io.ErrUnexpectedEOF)}, -1
		if a := f.serve(r); a.Code != reason.Status() || a.outcome.Reason != reason || a.outcome.Detail == "" {
			t.Errorf("%s: %d %+v", reason, a.Code, a.outcome)
		}
		f.wantCalls()
	}
	f := newFixture(t, "oauth2")
	r := request(t, "POST /oauth2/token\n"+asForm)
	r.Body, r.ContentLength = faulty{errors.New("broken")}, -1
	if a := f.serve(r); a.Code != 400 {
		t.Errorf("%d", a.Code)
	}
}

func TestA10BodiesAreBounded(t *testing.T) {
	const start = "client_id=shop&grant_type=password&username=jane&password=pw&x="
	for size, status := range map[int]int{MaxBodyBytes: 200, MaxBodyBytes + 1: 413, 1 << 20: 413} {
		for _, chunked := range []bool{false, true} {
			f := newFixture(t, "oauth2")
			r := request(t, "POST /oauth2/token\n"+asForm+"\n\n"+start+strings.Repeat("x", size-len(start)))
			if chunked {
				r.ContentLength = -1
			}
			if a := f.serve(r); a.Code != status {
				t.Errorf("%d bytes: %d %s", size, a.Code, a.Body)
			}
		}
	}
	f := newFixture(t, "oauth2")
	r := request(t, "POST /oauth2/token\n"+asForm)
	r.Body, r.ContentLength = http.NoBody, 1<<40 // never read
	f.want(f.serve(r), 413, `{"error":"invalid_request","error_description":"The request is too large: the body may have 16 KiB"}`)
}

func TestA10ContentTypes(t *testing.T) {
	form, object := "grant_type=password&username=jane&password=pw", `{"email":"jane","password":"pw"}`
	for _, tt := range []struct {
		header string
		form   int // status where a form is wanted
		json   int // where JSON is
	}{
		{asForm, 200, 415},
		{asForm + ";charset=UTF-8", 200, 415},
		{"Content-Type: Application/X-WWW-Form-Urlencoded ; charset=\"utf-8\"", 200, 415},
		{asJSON, 415, 200},
		{asJSON + "; charset=utf-8", 415, 200},
		{"Content-Type: application/json;", 415, 200},
		{"X-Other: 1", 415, 415},
		{"Content-Type:", 415, 415},
		{"Content-Type: text/plain", 415, 415},
		{"Content-Type: text/json", 415, 415},
		{"Content-Type: application/vnd.api+json", 415, 415},
		{"Content-Type: multipart/form-data; boundary=x", 415, 415},
		{"Content-Type: application/json x", 415, 415},
		{asJSON + "\n" + asJSON, 415, 415},
		{asForm + "\n" + asForm, 415, 415},
		{asForm + ", application/json", 415, 415},
	} {
		f := newFixture(t, "password_form")
		if a := f.send("POST /auth/jwt/login\n" + tt.header + "\n\n" + form); a.Code != tt.form {
			t.Errorf("%s: %d, want %d", tt.header, a.Code, tt.form)
		}
		f = newFixture(t, "envelope")
		if a := f.send("POST /v1/login\n" + tt.header + "\n\n" + object); a.Code != tt.json {
			t.Errorf("%s: %d, want %d", tt.header, a.Code, tt.json)
		}
	}
	f := newFixture(t, "envelope")
	f.want(f.send("POST /v1/login\n"+asForm+"\n\n"+object), 415, `{"message":"The request is malformed: the Content-Type must be application/json"}`)
	f = newFixture(t, "password_form")
	f.want(f.send("POST /auth/jwt/login\n"+asJSON+"\n\n"+object), 415, `{"detail":"The request is malformed: the Content-Type must be application/x-www-form-urlencoded","code":"request_malformed"}`)
}

func TestA10Forms(t *testing.T) {
	f := newFixture(t, "password_form")
	for body, detail := range map[string]string{
		"":                    "grant_type is missing",
		"grant_type=password": "username is missing",
		"grant_type=password&username=jane&password=a&password=a":  "the parameter password stands twice",
		"grant_type=password&username=jane&password=a&%70assword=": "the parameter password stands twice",
		"grant_type=password&username=jane&password=a&x=1&x=2":     "the parameter x stands twice",
		"%ff=1&%ff=2": "the parameter \ufffd stands twice",
		"grant_type=password&username=jane&password=a;b":     "the body is no form",
		"grant_type=password&username=jane&password=%zz":     "the body is no form",
		"grant_type=password&username=jane&password=%ff":     "the body is not UTF-8",
		"grant_type=password&username=jane&password=a&%ff=x": "the body is not UTF-8",
		`{"grant_type":"password"}`:                          "grant_type is missing",
		"grant_type=password&username=jane&Password=pw":      "password is missing",
		"grant_type=password&username=jane&password=a&" + strings.Repeat("y", 99) + "=&" + strings.Repeat("y", 99) + "=": "the parameter " + strings.Repeat("y", 64) + " stands twice",
	} {
		f.want(f.send("POST /auth/jwt/login\n"+asForm+"\n\n"+body), 400, `{"detail":"The request is malformed: `+detail+`","code":"request_malformed"}`)
	}
	f.wantCalls()
}

func TestA10JSON(t *testing.T) {
	f := newFixture(t, "envelope")
	for body, detail := range map[string]string{
		"":                                   "the body is no JSON object",
		"null":                               "the body is no JSON object",
		`"x"`:                                "the body is no JSON object",
		"[]":                                 "the body is no JSON object",
		`[{"email":"jane","password":"pw"}]`: "the body is no JSON object",
		"{}":                                 "email is missing",
		`{"email":"jane","password":null}`:   "password is missing",
		`{"email":"jane","password":"a","password":"b"}`:                     "the body has a member twice: /password",
		`{"email":"jane","password":"a","passw\u006frd":"b"}`:                "the body has a member twice: /password",
		`{"email":"jane","Password":"a"}`:                                    "the body has an unknown member: Password",
		`{"email":"jane","password":"a","more":""}`:                          "the body has an unknown member: more",
		`{"email":"jane","password":"a"}{}`:                                  "the body is not JSON, at byte 31",
		`{"email":"jane","password":"a"} x`:                                  "the body is not JSON, at byte 32",
		`{"email":"jane","password":"a",}`:                                   "the body is not JSON, at byte 30",
		`{"email":"jane","password":'a'}`:                                    "the body is not JSON, at byte 27",
		`{"email":"jane","password":7}`:                                      "the body has a member that is no string",
		`{"email":"jane","password":["secret"]}`:                             "the body has a member that is no string",
		`{"email":{"$ne":""},"password":"a"}`:                                "the body has a member that is no string",
		"{\"email\":\"jane\",\"password\":\"\xff\"}":                         "the body is not JSON, at byte 28",
		`{"email":"jane","password":"\ud800"}`:                               "the body is not JSON, at byte 28",
		strings.Repeat(`{"email":`, 1000) + `""` + strings.Repeat("}", 1000): "the body has a member that is no string",
	} {
		f.want(f.send("POST /v1/login\n"+asJSON+"\n\n"+body), 400, `{"message":"The request is malformed: `+detail+`"}`)
	}
	f.wantCalls()
}

// A secret in an address is in every log on the way. What means nothing here
// may stand in it.
func TestA11NothingOfOursIsTakenFromTheQuery(t *testing.T) {
	for _, name := range []string{"client_secret", "client_id", "password", "username", "email", "token", "access_token", "refresh_token", "refresh-token", "grant_type", "scope", "token_type_hint", "apiKey", "clientSecret", "PASSWORD", "%70assword"} {
		for _, g := range good {
			f := newFixture(t, g.dialect)
			line, rest, _ := strings.Cut(g.request, "\n")
			a := f.send(line + "?a=b&" + name + "=s3cret\n" + rest)
			if a.Code != 400 || a.outcome.Reason != auth.RequestMalformed || strings.Contains(a.Body.String()+a.outcome.Detail, "s3cret") {
				t.Errorf("%s?%s: %d %s", line, name, a.Code, a.Body)
			}
			f.wantCalls()
		}
	}
	for query, status := range map[string]int{"": 200, "a=b&a=c": 200, "lang=en&_=1": 200, "pass=word": 200, "a;password=x": 400, "%zz": 400} {
		f := newFixture(t, "envelope")
		if a := f.send("POST /v1/login?" + query + "\n" + asJSON + "\n\n" + `{"email":"jane","password":"pw"}`); a.Code != status {
			t.Errorf("%q: %d %s", query, a.Code, a.Body)
		}
	}
}

// A client can only ask for scopes: what it gets is the engine's to say. Where a
// dialect has none to ask for, none get through.
func TestA18ScopesAreAskedForByNameOnly(t *testing.T) {
	f := newFixture(t, "jsonapi")
	f.want(f.send("POST /ma-authentication-ms/v1/api/oauth/token/refresh\n"+asJSON+"\n\n"+`{"refresh_token":"r1","scope":"admin"}`), 400,
		`{"errors":[{"status":"400","code":"request_malformed","title":"The request is malformed"}]}`)
	f.wantCalls()
	f = newFixture(t, "password_form")
	f.send("POST /auth/jwt/postman-refresh\n" + asForm + "\n\ngrant_type=refresh_token&refresh_token=r1&scope=admin")
	f.wantCalls(token.RefreshGrant{Request: optional("", ""), RefreshToken: "r1"})
	f = newFixture(t, "oauth2")
	f.engine.err = &token.Error{Reason: auth.ScopeInvalid}
	f.want(f.send("POST /oauth2/token\n"+asForm+"\n\nclient_id=shop&grant_type=refresh_token&refresh_token=r1&scope=admin"), 400,
		`{"error":"invalid_scope","error_description":"The scope is more than the client may have"}`)
	f.wantCalls(token.RefreshGrant{Request: by(token.ClientAuth{ID: "shop"}), RefreshToken: "r1", Scopes: []string{"admin"}})
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	for wait, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", time.Second: "1", time.Second + 1: "2", 5 * time.Minute: "300"} {
		f := newFixture(t, "envelope")
		f.engine.err = &token.Error{Reason: auth.RateLimited, RetryAfter: wait}
		a := f.send("POST /v1/login\n" + asJSON + "\n\n" + `{"email":"jane","password":"pw"}`)
		f.want(a, 429, `{"message":"Too many requests"}`)
		f.wantHeader(a, "Retry-After", want)
	}
}
