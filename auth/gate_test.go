package auth

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func header(lines ...string) map[string][]string {
	h := map[string][]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h[name] = append(h[name], value)
	}
	return h
}

func TestModes(t *testing.T) {
	f := newFixture(t, "HS256")
	good := "Authorization: Bearer " + f.token(nil)
	expired := "Authorization: Bearer " + f.token(map[string]any{"exp": 1})
	basic := "Authorization: Basic dTpw"
	for _, c := range []struct {
		mode    Mode
		lines   []string
		want    Reason
		key     string
		subject string
	}{
		{Both, nil, APIKeyMissing, "", ""},
		{Both, []string{"Api-Key: web-key"}, TokenMissing, "web", ""},
		{Both, []string{good}, APIKeyMissing, "", ""},
		{Both, []string{"Api-Key: web-key", good}, OK, "web", "u1"},
		{Both, []string{"Api-Key: web-key", expired}, TokenExpired, "web", ""},
		{Both, []string{"Api-Key: nonsense", good}, APIKeyInvalid, "", ""},
		{Both, []string{"Api-Key: web-key", basic}, TokenMissing, "web", ""},
		{Any, nil, TokenMissing, "", ""},
		{Any, []string{basic}, TokenMissing, "", ""},
		{Any, []string{"Api-Key: web-key"}, OK, "web", ""},
		{Any, []string{good}, OK, "", "u1"},
		{Any, []string{"Api-Key: web-key", good}, OK, "web", "u1"},
		{APIKeyOnly, nil, APIKeyMissing, "", ""},
		{APIKeyOnly, []string{"Api-Key: web-key"}, OK, "web", ""},
		{APIKeyOnly, []string{"Api-Key: web-key", expired}, OK, "web", ""},
		{APIKeyOnly, []string{good}, APIKeyMissing, "", ""},
		{BearerOnly, nil, TokenMissing, "", ""},
		{BearerOnly, []string{good}, OK, "", "u1"},
		{BearerOnly, []string{good, "Api-Key: nonsense"}, OK, "", "u1"},
		{BearerOnly, []string{"Api-Key: web-key"}, TokenMissing, "", ""},
		{None, nil, OK, "", ""},
		{None, []string{"Api-Key: nonsense", expired}, OK, "", ""},
		{None, []string{"Api-Key: web-key", good}, OK, "", ""},
	} {
		f.policy.Mode = c.mode
		creds := Extract(header(c.lines...), "Api-Key")
		d := f.gate.Decide(f.policy, creds, now)
		subject := ""
		if d.Principal.Token != nil {
			subject = d.Principal.Token.Subject()
		}
		if d.Reason != c.want || d.Principal.APIKeyID != c.key || subject != c.subject {
			t.Errorf("%s %.40q: %s, key %q, subject %q", c.mode, c.lines, d.Reason, d.Principal.APIKeyID, subject)
		}
		if e, steps := f.gate.Explain(f.policy, creds, now); e.Reason != c.want || len(steps) == 0 {
			t.Errorf("%s %.40q: explained as %s in %d steps", c.mode, c.lines, e.Reason, len(steps))
		}
	}
}

func TestT07EveryPresentedCredentialMustBeValid(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = Any
	good, forged := f.token(nil), f.token(nil)
	forged = forged[:len(forged)-6] + "AAAAAA"
	for _, c := range []struct {
		lines []string
		want  Reason
	}{
		{[]string{"Api-Key: web-key", "Authorization: Bearer " + forged}, TokenUntrusted},
		{[]string{"Api-Key: web-key", "Authorization: Bearer"}, TokenMalformed},
		{[]string{"Api-Key: nonsense", "Authorization: Bearer " + good}, APIKeyInvalid},
	} {
		if d := f.gate.Decide(f.policy, Extract(header(c.lines...), "Api-Key"), now); d.Reason != c.want {
			t.Errorf("%.60q: %s, want %s", c.lines, d.Reason, c.want)
		}
	}
}

func TestT14NoFallbackToAnonymous(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, mode := range []Mode{Both, Any, BearerOnly} {
		f.policy.Mode = mode
		d := f.gate.Decide(f.policy, Extract(header("Api-Key: web-key", "Authorization: Bearer x.y.z"), "Api-Key"), now)
		if d.Reason == OK || d.Headers != nil || d.Principal.Token != nil {
			t.Errorf("%s: %+v", mode, d)
		}
	}
	if (Decision{}).Reason == OK || (Decision{}).Reason.Status() < 400 {
		t.Error("the zero decision allows")
	}
}

func TestParseBearer(t *testing.T) {
	for field, want := range map[string]bearerState{
		"Bearer a.b.c": bearerPresent, "bearer a.b.c": bearerPresent, "BEARER a.b.c": bearerPresent, "bEaReR    a.b.c": bearerPresent,
		"Bearer": bearerMalformed, "Bearer ": bearerMalformed, "Bearer\ta.b.c": bearerMalformed, "Bearer\u00a0a": bearerMalformed,
		"Bearer:a.b.c": bearerMalformed, "Bearer,a.b.c": bearerMalformed, "Bearer=a": bearerMalformed,
		"a.b.c": bearerAbsent, "Token a.b.c": bearerAbsent, "Basic dTpw": bearerAbsent, "BearerX a.b.c": bearerAbsent, "Bearer-Token a": bearerAbsent,
		"": bearerAbsent, "Bear": bearerAbsent,
	} {
		token, state := parseBearer(field)
		if state != want || (state == bearerPresent) != (token == "a.b.c") {
			t.Errorf("%q: state %d, token %q", field, state, token)
		}
	}
}

func TestT01SeveralAuthorizationLines(t *testing.T) {
	f := newFixture(t, "HS256")
	good := "Authorization: Bearer " + f.token(nil)
	for _, lines := range [][]string{{good, good}, {good, "Authorization: Basic dTpw"}, {"Authorization: ", good}} {
		if d := f.gate.Decide(f.policy, Extract(header(lines...), "Api-Key"), now); d.Reason != TokenMalformed {
			t.Errorf("%.40q: %s", lines, d.Reason)
		}
	}
}

func TestT02SeveralTokensInOneLine(t *testing.T) {
	f := newFixture(t, "HS256")
	good := f.token(nil)
	for _, field := range []string{"Bearer " + good + ", Bearer " + good, "Bearer " + good + "," + good, "Bearer " + good + " " + good, "Bearer " + good + ";"} {
		if d := f.gate.Decide(f.policy, Extract(header("Authorization: "+field), "Api-Key"), now); d.Reason != TokenMalformed {
			t.Errorf("%.40q: %s", field, d.Reason)
		}
	}
}

func TestK03ExactKey(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = APIKeyOnly
	for key, want := range map[string]Reason{
		"web-key": OK, "web-ke": APIKeyInvalid, "web-key0": APIKeyInvalid, "web-key ": APIKeyInvalid, " web-key": APIKeyInvalid,
		"WEB-KEY": APIKeyInvalid, "web-key\x00": APIKeyInvalid, "wéb-key": APIKeyInvalid, "": APIKeyMissing,
		strings.Repeat("x", maxAPIKeyBytes+1): APIKeyInvalid,
		"old-key":                             APIKeyInvalid, // K08: expired this very second
		"other-key":                           APIKeyForbidden,
	} {
		if d := f.gate.Decide(f.policy, Extract(header("Api-Key: "+key), "Api-Key"), now); d.Reason != want {
			t.Errorf("%.20q: %s, want %s", key, d.Reason, want)
		}
	}
}

func TestK10SeveralKeys(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = APIKeyOnly
	for _, lines := range [][]string{
		{"Api-Key: web-key", "Api-Key: web-key"}, {"Api-Key: web-key,web-key"}, {"Api-Key: web-key", "Api-Key: "}, {"Api-Key: ", "Api-Key: web-key"},
	} {
		if d := f.gate.Decide(f.policy, Extract(header(lines...), "Api-Key"), now); d.Reason != APIKeyInvalid {
			t.Errorf("%q: %s", lines, d.Reason)
		}
	}
}

func TestK09KeyForAnotherRoute(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode, f.policy.Route = APIKeyOnly, "invoices"
	if d := f.gate.Decide(f.policy, Extract(header("Api-Key: other-key"), "Api-Key"), now); d.Reason != OK {
		t.Errorf("its own route: %s", d.Reason)
	}
	f.policy.Route = "invoice"
	if d := f.gate.Decide(f.policy, Extract(header("Api-Key: other-key"), "Api-Key"), now); d.Reason != APIKeyForbidden {
		t.Errorf("another route: %s", d.Reason)
	}
}

func TestK08KeyExpires(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = APIKeyOnly
	creds := Extract(header("Api-Key: old-key"), "Api-Key")
	for at, want := range map[time.Duration]Reason{-time.Millisecond: OK, 0: APIKeyInvalid, time.Millisecond: APIKeyInvalid} {
		if d := f.gate.Decide(f.policy, creds, now.Add(at)); d.Reason != want {
			t.Errorf("%s: %s", at, d.Reason)
		}
	}
}

func TestStoredAPIKeys(t *testing.T) {
	stored := &StoredAPIKeys{}
	keys := NewAPIKeys([]APIKey{{ID: "config", SHA256: sha256.Sum256([]byte("a"))}}, stored)
	if stored.All() != nil || keys.Find("b") != nil {
		t.Error("an empty set has keys")
	}
	stored.Put(APIKey{ID: "b1", SHA256: sha256.Sum256([]byte("b"))})
	stored.Put(APIKey{ID: "a1", SHA256: sha256.Sum256([]byte("a"))})
	stored.Put(APIKey{ID: "b2", SHA256: sha256.Sum256([]byte("b"))})
	if k := keys.Find("b"); k == nil || k.ID != "b2" || !k.Stored || len(stored.All()) != 2 {
		t.Errorf("replaced: %+v of %d", k, len(stored.All()))
	}
	if k := keys.Find("a"); k == nil || k.ID != "config" || k.Stored {
		t.Errorf("the config does not come first: %+v", k)
	}
	stored.Delete(sha256.Sum256([]byte("b")))
	if keys.Find("b") != nil {
		t.Error("deleted and still found")
	}
}

func TestRevocationKinds(t *testing.T) {
	begun := now.Add(-60 * time.Second) // iat
	for _, c := range []struct {
		r    Revocation
		want Reason
	}{
		{Revocation{Kind: KindToken, Issuer: "main", ID: "t1"}, TokenRevoked},
		{Revocation{Kind: KindToken, Issuer: "other", ID: "t1"}, OK},
		{Revocation{Kind: KindToken, Issuer: "main", ID: "t2"}, OK},
		{Revocation{Kind: KindToken, Issuer: "main", ID: "s1"}, TokenRevoked}, // the token that began the session
		{Revocation{Kind: KindSession, Issuer: "main", ID: "s1"}, TokenRevoked},
		{Revocation{Kind: KindSession, Issuer: "main", ID: "t1"}, OK},
		{Revocation{Kind: KindSession, ID: "s1"}, OK},
		{Revocation{Kind: KindSubject, Issuer: "main", ID: "u1"}, TokenRevoked},
		{Revocation{Kind: KindSubject, Issuer: "main", ID: "u1", Before: begun}, TokenRevoked},
		{Revocation{Kind: KindSubject, Issuer: "main", ID: "u1", Before: begun.Add(-time.Second)}, OK},
		{Revocation{Kind: KindSubject, Issuer: "main", ID: "u1", Before: begun.Add(999 * time.Millisecond)}, TokenRevoked},
		{Revocation{Kind: KindClient, Issuer: "main", ID: "c1"}, TokenRevoked},
		{Revocation{Kind: KindClient, Issuer: "main", ID: "c1", Before: begun.Add(-time.Second)}, OK},
		{Revocation{Kind: KindIssuer, ID: "main"}, TokenRevoked},
		{Revocation{Kind: KindIssuer, ID: "main", Before: begun.Add(-time.Second)}, OK},
		{Revocation{Kind: KindIssuer, ID: "other"}, OK},
		{Revocation{Kind: KindAPIKey, ID: "web"}, APIKeyInvalid},
		{Revocation{Kind: KindAPIKey, ID: "other"}, OK},
		{Revocation{Kind: KindToken, Issuer: "main", ID: "t1", Until: now}, OK},
	} {
		f := newFixture(t, "HS256")
		f.policy.Mode = Both
		for _, client := range []string{"client_id", "azp"} {
			creds := Extract(header("Api-Key: web-key", "Authorization: Bearer "+f.token(map[string]any{"sid": "s1", client: "c1"})), "Api-Key")
			f.list.entries = nil
			before := f.gate.Decide(f.policy, creds, now)
			f.list.add(c.r)
			after := f.gate.Decide(f.policy, creds, now)
			if before.Reason != OK || after.Reason != c.want {
				t.Errorf("%s %q before %s: %s then %s, want %s", c.r.Kind, c.r.ID, c.r.Before, before.Reason, after.Reason, c.want)
			}
			live := f.gate.Recheck(before.Principal, now)
			if live != c.want {
				t.Errorf("%s %q: a live connection: %s, want %s", c.r.Kind, c.r.ID, live, c.want)
			}
		}
	}
}

func TestRevocationComparesAuthTime(t *testing.T) {
	f := newFixture(t, "HS256")
	f.list.add(Revocation{Kind: KindSubject, Issuer: "main", ID: "u1", Before: now.Add(-time.Hour)})
	f.want(f.token(nil), OK)
	f.want(f.token(map[string]any{"auth_time": now.Unix() - 3600}), TokenRevoked)
	f.want(f.token(map[string]any{"auth_time": now.Unix() - 3599}), OK)
	f.want(f.token(map[string]any{"iat": nil}), TokenRevoked) // no one knows when it began
}

func TestR18KeysCannotCollide(t *testing.T) {
	seen := map[RevocationKey]string{}
	for _, kind := range Kinds() {
		for _, pair := range [][2]string{{"a", "b"}, {"ab", ""}, {"", "ab"}, {"a:b", ""}, {"a", "b\x00"}, {"a\x00\x00\x00\x01b", ""}} {
			key, name := NewRevocationKey(kind, pair[0], pair[1]), fmt.Sprint(kind, pair)
			if other, dup := seen[key]; dup {
				t.Errorf("%s and %s have one key", name, other)
			}
			seen[key] = name
		}
	}
}

func TestStaleList(t *testing.T) {
	f := newFixture(t, "HS256")
	good, dead := f.token(nil), f.token(map[string]any{"jti": "dead"})
	f.list.add(Revocation{Kind: KindToken, Issuer: "main", ID: "dead"})
	f.list.stale = true
	f.want(good, RevocationStale)
	f.want(dead, TokenRevoked) // what is known stays known
	f.want(f.token(map[string]any{"exp": 1}), TokenExpired)
	f.policy.Mode = None
	f.want(good, OK)
}

func TestScopes(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Scopes = []string{"orders:read", "orders:write"}
	for _, c := range []struct {
		name string
		v    any
		want Reason
	}{
		{"scope", "orders:read orders:write x", OK},
		{"scope", "orders:write  orders:read", OK},
		{"scope", []string{"orders:read", "orders:write"}, OK},
		{"scp", []string{"orders:read", "orders:write"}, OK},
		{"scp", "orders:read orders:write", OK},
		{"scope", "orders:read", ScopeInsufficient},
		{"scope", "orders:readx orders:write", ScopeInsufficient},
		{"scope", "orders:read,orders:write", ScopeInsufficient},
		{"scope", "ORDERS:READ orders:write", ScopeInsufficient},
		{"scope", []any{"orders:read", 1, map[string]any{}}, ScopeInsufficient},
		{"scope", 1, ScopeInsufficient},
		{"other", "orders:read orders:write", ScopeInsufficient},
	} {
		f.want(f.token(map[string]any{c.name: c.v}), c.want)
	}
	// An API key alone has no scopes.
	f.policy.Mode = Any
	if d := f.gate.Decide(f.policy, Extract(header("Api-Key: web-key"), "Api-Key"), now); d.Reason != ScopeInsufficient {
		t.Errorf("an API key alone: %s", d.Reason)
	}
}

func TestClaimRules(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Claims = []ClaimRule{{Claim: "realm.roles", AnyOf: []string{"admin", "7", "true"}}, {Claim: "tenant", AnyOf: []string{"acme"}}}
	roles := func(v any) map[string]any {
		return map[string]any{"tenant": "acme", "realm": map[string]any{"roles": v}}
	}
	for _, c := range []struct {
		claims map[string]any
		want   Reason
	}{
		{roles([]string{"staff", "admin"}), OK},
		{roles("admin"), OK},
		{roles(7), OK},
		{roles(true), OK},
		{map[string]any{"tenant": "acme", "realm.roles": "admin"}, OK},
		{roles([]string{"staff"}), ClaimForbidden},
		{roles("admin staff"), ClaimForbidden},
		{roles([]string{}), ClaimForbidden},
		{roles(nil), ClaimForbidden},
		{roles(map[string]any{"admin": true}), ClaimForbidden},
		{roles([]any{[]string{"admin"}}), ClaimForbidden},
		{map[string]any{"tenant": "acme"}, ClaimForbidden},
		{map[string]any{"tenant": "acme", "realm": "admin"}, ClaimForbidden},
		{map[string]any{"tenant": "acme2", "realm": map[string]any{"roles": "admin"}}, ClaimForbidden},
	} {
		f.want(f.token(c.claims), c.want)
	}
	f.policy.Mode = Any
	if d := f.gate.Decide(f.policy, Extract(header("Api-Key: web-key"), "Api-Key"), now); d.Reason != ClaimForbidden {
		t.Errorf("an API key alone: %s", d.Reason)
	}
}

// headersOf returns what the decision sends upstream.
func headersOf(d Decision) map[string]string {
	m := map[string]string{}
	for _, h := range d.Headers {
		m[h.Name] = strings.Join(h.Value, "|")
	}
	return m
}

func TestForwardedClaims(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = Both
	f.policy.Forward = &Forward{APIKeyHeader: "X-Client-Id", Claims: []ClaimHeader{
		{Claim: "sub", Header: "X-User-Id"},
		{Claim: "email", Header: "X-User-Email"},
		{Claim: "realm.roles", Header: "X-User-Roles", Format: FormatCSV},
		{Claim: "https://example.com/org", Header: "X-Org", Format: FormatJSON},
		{Claim: "active", Header: "X-Active"},
		{Claim: "absent", Header: "X-Absent"},
		{Claim: "nothing", Header: "X-Nothing"},
	}}
	claims := `,"email":"a%b@example.com","realm":{"roles":["a","b é",7]},"https://example.com/org":{ "id" : 1e2, "n":"Zoë 😀" },"active":true,"nothing":null`
	creds := Extract(header("Api-Key: web-key", "Authorization: Bearer "+f.raw(f.header(), f.payload(claims))), "Api-Key")
	d := f.gate.Decide(f.policy, creds, now)
	want := map[string]string{
		"X-User-Id": "u1", "X-User-Email": "a%25b@example.com", "X-User-Roles": "a,b %C3%A9,7",
		"X-Org": `{"id":1e2,"n":"Zo\u00EB \uD83D\uDE00"}`, "X-Active": "true", "X-Client-Id": "web",
	}
	if got := headersOf(d); d.Reason != OK || !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n got %q\nwant %q", d.Reason, got, want)
	}
	// Another route's headers for the same, remembered token.
	p := *f.policy
	p.Forward = &Forward{Claims: []ClaimHeader{{Claim: "sub", Header: "X-Sub"}}}
	if got := headersOf(f.gate.Decide(&p, creds, now)); !reflect.DeepEqual(got, map[string]string{"X-Sub": "u1"}) {
		t.Errorf("the other route sends %q", got)
	}
	if got := headersOf(f.gate.Decide(f.policy, creds, now)); !reflect.DeepEqual(got, want) {
		t.Errorf("the first route again sends %q", got)
	}
}

func TestH08H10ClaimsThatDoNotFitAHeader(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.MaxTokenBytes = 16 << 10
	for _, c := range []struct {
		claim  any
		format Format
		want   Reason
	}{
		{"a b", FormatText, OK},
		{" a", FormatText, TokenClaims},
		{"a ", FormatText, TokenClaims},
		{"a\tb", FormatText, TokenClaims},
		{"a\r\nb", FormatText, TokenClaims},
		{"a\x00", FormatText, TokenClaims},
		{strings.Repeat("x", maxHeaderValue), FormatText, OK},
		{strings.Repeat("x", maxHeaderValue+1), FormatText, TokenClaims},
		{strings.Repeat("é", maxHeaderValue/6), FormatText, OK},
		{strings.Repeat("é", maxHeaderValue/6+1), FormatText, TokenClaims}, // counted as sent
		{[]string{"a"}, FormatText, TokenClaims},
		{map[string]any{}, FormatText, TokenClaims},
		{[]string{"a", "b"}, FormatCSV, OK},
		{"a", FormatCSV, OK},
		{[]string{}, FormatCSV, OK},
		{[]string{"a,b"}, FormatCSV, TokenClaims},
		{[]string{"a", ""}, FormatCSV, TokenClaims},
		{[]string{"a\n"}, FormatCSV, TokenClaims},
		{[]any{"a", []string{"b"}}, FormatCSV, TokenClaims},
		{map[string]any{"a": "b"}, FormatCSV, TokenClaims},
		{"line\nend", FormatJSON, OK}, // JSON escapes it
		{map[string]any{"a": strings.Repeat("x", maxHeaderValue)}, FormatJSON, TokenClaims},
	} {
		f.policy.Forward = &Forward{Claims: []ClaimHeader{{Claim: "c", Header: "X-C", Format: c.format}}}
		f.want(f.token(map[string]any{"c": c.claim}), c.want)
	}
	var all []ClaimHeader
	claims := map[string]any{}
	for i := range maxHeaderValues/maxHeaderValue + 1 {
		name := fmt.Sprintf("c%d", i)
		all = append(all, ClaimHeader{Claim: name, Header: "X-" + name})
		claims[name] = strings.Repeat("x", maxHeaderValue)
	}
	f.policy.Forward = &Forward{Claims: all[1:]}
	f.want(f.token(claims), OK)
	f.policy.Forward = &Forward{Claims: all}
	f.want(f.token(claims), TokenClaims)
}

func TestHeadersAreNotSharedForWriting(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = Any
	token := f.token(nil)
	with := Extract(header("Api-Key: web-key", "Authorization: Bearer "+token), "Api-Key")
	if got := headersOf(f.gate.Decide(f.policy, with, now)); got["X-Client-Id"] != "web" {
		t.Errorf("%q", got)
	}
	if got := headersOf(f.decide(token)); len(got) != 1 {
		t.Errorf("without an API key: %q", got)
	}
	for _, h := range f.gate.Decide(f.policy, with, now).Headers {
		if cap(h.Value) != 1 {
			t.Errorf("appending to %s would write into what others read", h.Name)
		}
	}
}

func TestExplainTellsWhatFailed(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Scopes = []string{"orders:write"}
	_, steps := f.gate.Explain(f.policy, bearer(f.token(nil)), now)
	last := steps[len(steps)-1]
	if last.Check != "scopes" || last.Result != "scope_insufficient" || !strings.Contains(last.Detail, "orders:write") {
		t.Errorf("%+v", last)
	}
	if steps[0].Result != Skipped {
		t.Errorf("the API key, which the route does not look at: %+v", steps[0])
	}
}

func TestNewGateNeedsItsParts(t *testing.T) {
	for _, cfg := range []GateConfig{{}, {APIKeys: NewAPIKeys(nil, nil)}, {Revocations: &list{}}} {
		if _, err := NewGate(cfg); err == nil {
			t.Errorf("%+v makes a gate", cfg)
		}
	}
}

func TestReasonTable(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		if r.String() == "" || r.Title() == "" || r.Status() < 200 || seen[r.String()] {
			t.Errorf("reason %d: %q %q %d", r, r, r.Title(), r.Status())
		}
		seen[r.String()] = true
		if r.Status() == 401 && r.Challenge() == NoChallenge {
			t.Errorf("%s has no challenge (RFC 9110 §11.6.1)", r)
		}
	}
}

func TestNamesParse(t *testing.T) {
	for _, k := range Kinds() {
		var back Kind
		if err := back.UnmarshalText([]byte(k.String())); err != nil || back != k {
			t.Errorf("%s: %v", k, err)
		}
	}
	var k Kind
	if err := k.UnmarshalText([]byte("JTI")); err == nil || Kind(0).String() != "unknown" {
		t.Error("JTI is a kind")
	}
	for m := range modeCount {
		if back, ok := ParseMode(m.String()); !ok || back != m {
			t.Errorf("mode %s", m)
		}
	}
	for f := range formatCount {
		if back, ok := ParseFormat(f.String()); !ok || back != f {
			t.Errorf("format %s", f)
		}
	}
	if _, ok := ParseMode("BOTH"); ok {
		t.Error("BOTH is a mode")
	}
	if f, ok := ParseFormat(""); !ok || f != FormatText {
		t.Error("the default format is not text")
	}
	if _, ok := ParseFormat("xml"); ok {
		t.Error("xml is a format")
	}
}

func TestSecondsOfRevocations(t *testing.T) {
	at := time.Unix(100, 0)
	for _, c := range []struct {
		r             Revocation
		before, until uint32
	}{
		{Revocation{Kind: KindSubject, Before: at, Until: at}, 100, 100},
		{Revocation{Kind: KindSubject, Before: at.Add(time.Nanosecond), Until: at.Add(time.Nanosecond)}, 100, 101},
		{Revocation{Kind: KindSubject, Until: at}, Always, 100},
		{Revocation{Kind: KindToken, Before: at, Until: at}, 100, 100},
		{Revocation{Kind: KindSubject, Before: time.Unix(-5, 0), Until: time.Unix(1<<40, 0)}, 0, Always - 1},
	} {
		if b, u := c.r.BeforeSeconds(), c.r.UntilSeconds(); b != c.before || u != c.until {
			t.Errorf("%+v: %d %d", c.r, b, u)
		}
	}
}
