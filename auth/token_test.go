package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func TestJ11DuplicateClaims(t *testing.T) {
	f := newFixture(t, "HS256")
	f.want(f.raw(f.header(), f.payload(`,"sub":"u2"`)), TokenMalformed)
	f.want(f.raw(f.header(), f.payload(`,"a":{"x":1,"x":2}`)), TokenMalformed)
	// Another case is another claim: it neither overrides nor stands in.
	f.policy.Claims = []ClaimRule{{Claim: "admin", AnyOf: []string{"true"}}}
	f.want(f.raw(f.header(), f.payload(`,"admin":false,"ADMIN":true`)), ClaimForbidden)
	f.policy.Claims = nil
	f.want(f.token(map[string]any{"exp": nil, "EXP": now.Unix() + 60}), TokenClaims)
}

func TestJ12TypesOfDates(t *testing.T) {
	f := newFixture(t, "HS256")
	soon := fmt.Sprint(now.Unix() + 60)
	for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
		for _, value := range []any{soon, true, nil, []int{1}, map[string]any{}} {
			claims := f.claims()
			claims[name] = value
			compact, err := Sign(f.key, "", claims)
			if err != nil {
				t.Fatal(err)
			}
			f.want(compact, TokenClaims)
		}
	}
	f.want(f.token(map[string]any{"exp": float64(now.Unix()) + 60.75, "iat": float64(now.Unix()) - 0.5}), OK)
	// A fraction is cut off, never rounded up.
	if d := f.want(f.token(map[string]any{"exp": float64(now.Unix()) + 60.9}), OK); !d.Principal.Token.Expires().Equal(now.Add(60 * time.Second)) {
		t.Errorf("expires %s", d.Principal.Token.Expires())
	}
}

func TestJ13HugeDates(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.MaxTokenLife = 200 * 365 * 24 * time.Hour
	for _, exp := range []string{"9e18", "1e300", "1e400", "9223372036854775807", "9223372036854775808", "-1e400", "9007199254740992"} {
		claims := strings.Replace(f.payload(""), fmt.Sprintf(`"exp":%d`, now.Unix()+3540), `"exp":`+exp, 1)
		f.want(f.raw(f.header(), claims), TokenClaims)
	}
	for _, exp := range []string{"-1", "0", "1"} {
		claims := strings.Replace(f.payload(""), fmt.Sprintf(`"exp":%d`, now.Unix()+3540), `"exp":`+exp, 1)
		f.want(f.raw(f.header(), claims), TokenExpired)
	}
}

func TestLifeTooLong(t *testing.T) {
	f := newFixture(t, "HS256")
	iat := now.Unix() - 60
	f.want(f.token(map[string]any{"iat": iat, "exp": iat + 24*3600}), OK)
	f.want(f.token(map[string]any{"iat": iat, "exp": iat + 24*3600 + 1}), TokenClaims)
	f.want(f.token(map[string]any{"iat": nil, "exp": now.Unix() + 24*3600}), OK)
	f.want(f.token(map[string]any{"iat": nil, "exp": now.Unix() + 24*3600 + 1}), TokenClaims)
}

func TestJ14ExpiryRequired(t *testing.T) {
	f := newFixture(t, "HS256")
	f.want(f.token(map[string]any{"exp": nil}), TokenClaims)
	f.want(f.token(map[string]any{"exp": 0}), TokenExpired)
}

func TestJ15TimeAndLeeway(t *testing.T) {
	f := newFixture(t, "HS256")
	unix := now.Unix()
	for _, c := range []struct {
		claim  string
		offset int64
		want   Reason
	}{
		{"exp", 1, OK},
		{"exp", -9, OK},
		{"exp", -10, TokenExpired},
		{"exp", -11, TokenExpired},
		{"nbf", 10, OK},
		{"nbf", 11, TokenNotYetValid},
		{"iat", 10, OK},
		{"iat", 11, TokenNotYetValid},
		{"auth_time", 10, OK},
		{"auth_time", 11, TokenNotYetValid},
	} {
		f.want(f.token(map[string]any{c.claim: unix + c.offset}), c.want)
	}
	f.want(f.token(map[string]any{"iat": unix + 11, "auth_time": unix}), TokenNotYetValid)
	// A remembered token expires too.
	token := f.token(nil)
	f.want(token, OK)
	for at, want := range map[time.Duration]Reason{3549 * time.Second: OK, 3550 * time.Second: TokenExpired, -71 * time.Second: TokenNotYetValid} {
		if d := f.gate.Decide(f.policy, bearer(token), now.Add(at)); d.Reason != want {
			t.Errorf("remembered, after %s: %s, want %s", at, d.Reason, want)
		}
	}
}

func TestJ16Audience(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, c := range []struct {
		aud  any
		want Reason
	}{
		{"api", OK},
		{[]string{"x", "api2"}, OK},
		{"ap", TokenAudience},
		{"api ", TokenAudience},
		{"API", TokenAudience},
		{"api.example.com", TokenAudience},
		{[]string{}, TokenAudience},
		{[]any{"api", map[string]any{}}, TokenAudience},
		{nil, TokenAudience},
		{1, TokenAudience},
		{true, TokenAudience},
		{map[string]any{"api": 1}, TokenAudience},
	} {
		f.want(f.token(map[string]any{"aud": c.aud}), c.want)
	}
	f.issuer.Audiences = []string{"1", "true", ""}
	f.build()
	for _, aud := range []any{1, true, nil, map[string]any{}} { // no text, whatever it looks like
		f.want(f.token(map[string]any{"aud": aud}), TokenAudience)
	}
	f.issuer.AnyAudience = true
	f.build()
	f.want(f.token(map[string]any{"aud": "x"}), OK)
	f.want(f.token(map[string]any{"aud": nil}), OK)
}

func TestJ17Issuer(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, iss := range []any{"https://auth.example.com/", "https://AUTH.example.com", "http://auth.example.com", "", nil, 1, []string{f.issuer.Issuer}} {
		f.want(f.token(map[string]any{"iss": iss}), TokenUntrusted)
	}
	f.issuer.Issuer = "1"
	f.want(f.token(map[string]any{"iss": 1}), TokenUntrusted)
	f.issuer.Issuer = ""
	f.want(f.token(map[string]any{"iss": nil}), OK)
	f.want(f.token(map[string]any{"iss": map[string]any{}}), TokenUntrusted)
	f.want(f.token(map[string]any{"iss": ""}), TokenUntrusted)
	f.want(f.token(map[string]any{"iss": "https://auth.example.com"}), TokenUntrusted)
}

func TestJ23TrailingData(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, tail := range []string{"x", "{}", " {}", "\x00", "]", "null", ","} {
		f.want(f.raw(f.header(), f.payload("")+tail), TokenMalformed)
		f.want(f.raw(f.header()+tail, f.payload("")), TokenMalformed)
	}
	f.want(f.raw(f.header(), f.payload("")+" \n"), OK) // white space is JSON's
}

func TestJ24NotAnObject(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, body := range []string{"null", "[]", "1", `"x"`, "true", "\ufeff{}", "{", "{}}", "{\"a\":}", "{\"a\":1,}", " "} {
		f.want(f.raw(f.header(), body), TokenMalformed)
		f.want(f.raw(body, f.payload("")), TokenMalformed)
	}
	f.want(f.raw(f.header(), "{}"), TokenUntrusted) // no iss
}

func TestJ30Digits(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Forward.Claims = []ClaimHeader{{Claim: "sub", Header: "X-User-Id"}, {Claim: "n", Header: "X-N"}}
	payload := strings.Replace(f.payload(`,"n":1.10`), `"sub":"u1"`, `"sub":12345678901234567890`, 1)
	d := f.want(f.raw(f.header(), payload), OK)
	if d.Principal.Token.Subject() != "12345678901234567890" || d.Headers[0].Value[0] != "12345678901234567890" || d.Headers[1].Value[0] != "1.10" {
		t.Errorf("%q %v", d.Principal.Token.Subject(), d.Headers)
	}
	f.want(f.raw(f.header(), strings.Replace(f.payload(""), `"sub":"u1"`, `"sub":1e3`, 1)), TokenClaims)
}

func TestJ31InvalidText(t *testing.T) {
	f := newFixture(t, "HS256")
	for sub, want := range map[string]Reason{
		"\"a\xff\"": TokenMalformed, `"\ud800"`: TokenMalformed, `"\u0000"`: TokenClaims, `"a\r\nX-Admin: 1"`: TokenClaims, `"a\u007f"`: TokenClaims, `"a\tb"`: TokenClaims,
	} {
		f.want(f.raw(f.header(), strings.Replace(f.payload(""), `"sub":"u1"`, `"sub":`+sub, 1)), want)
	}
}

func TestTypesOfNames(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Forward = nil
	for _, name := range []string{"sub", "jti", "sid", "client_id", "azp"} {
		for _, value := range []any{[]string{"a"}, map[string]any{}} {
			f.want(f.token(map[string]any{name: value}), TokenClaims)
		}
		f.want(f.token(map[string]any{name: 7}), OK)
	}
}

func TestRequiredClaims(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.Required = []string{"sub", "realm.roles"}
	f.want(f.token(nil), TokenClaims)
	f.want(f.token(map[string]any{"realm": map[string]any{"roles": []string{}}}), OK)
	f.want(f.token(map[string]any{"realm": map[string]any{"roles": nil}}), TokenClaims)
	f.want(f.token(map[string]any{"realm.roles": 1}), OK)
	f.want(f.token(map[string]any{"sub": nil, "realm.roles": 1}), TokenClaims)
}

func TestSubjectClaim(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.SubjectClaim = "user.id"
	f.policy.Forward.Claims = []ClaimHeader{{Header: "X-User-Id"}}
	d := f.want(f.token(map[string]any{"user": map[string]any{"id": "u7"}}), OK)
	if d.Principal.Token.Subject() != "u7" {
		t.Errorf("subject %q", d.Principal.Token.Subject())
	}
	if got := headersOf(d); got["X-User-Id"] != "u7" {
		t.Errorf("forwarded %q", got)
	}
	f.want(f.token(map[string]any{"user": map[string]any{"id": []string{"u7"}}, "jti": "t2"}), TokenClaims)
}

func TestR08TokenWithoutJTI(t *testing.T) {
	f := newFixture(t, "HS256")
	token := f.token(map[string]any{"jti": nil})
	digest := sha256.Sum256([]byte(token[:strings.LastIndexByte(token, '.')]))
	id := hex.EncodeToString(digest[:])
	if d := f.want(token, OK); d.Principal.Token.ID() != id || d.Principal.Token.SessionID() != id {
		t.Errorf("id %q, session %q, want %q", d.Principal.Token.ID(), d.Principal.Token.SessionID(), id)
	}
	f.list.add(Revocation{Kind: KindToken, Issuer: "main", ID: id})
	f.want(token, TokenRevoked)
	f.want(f.token(map[string]any{"jti": nil, "sub": "u2"}), OK)
}

func TestTokenAccessors(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, c := range []struct {
		claims  map[string]any
		client  string
		scopes  string
		started int64
	}{
		{nil, "", "[]", now.Unix() - 60},
		{map[string]any{"client_id": "web", "azp": "other", "scope": "a b", "auth_time": 1000}, "web", "[a b]", 1000},
		{map[string]any{"azp": "web", "scp": []string{"a"}}, "web", "[a]", now.Unix() - 60},
		{map[string]any{"client_id": "", "azp": "web"}, "web", "[]", now.Unix() - 60},
		{map[string]any{"iat": nil}, "", "[]", 0},
	} {
		tok := f.want(f.token(c.claims), OK).Principal.Token
		if tok.ClientID() != c.client || fmt.Sprint(tok.Scopes()) != c.scopes || tok.AuthTime().Unix() != c.started || tok.SignedByClient() {
			t.Errorf("%v: client %q, scopes %q, began %d", c.claims, tok.ClientID(), tok.Scopes(), tok.AuthTime().Unix())
		}
	}
	f.key.Client = "web"
	tok := f.want(f.token(map[string]any{"sub": "web", "client_id": "web"}), OK).Principal.Token
	if !tok.SignedByClient() {
		t.Error("signed by its client, and it does not say so")
	}
}

// What is remembered of each token must not grow by chance.
func TestSizeOfWhatIsRemembered(t *testing.T) {
	if n := unsafe.Sizeof(verified{}); n > 256 {
		t.Errorf("%d bytes, which take the next larger room", n)
	}
}
