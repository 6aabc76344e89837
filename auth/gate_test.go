package auth

import (
	"crypto/sha256"
	"strings"
	"testing"
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
		if e, steps := f.gate.Explain(t.Context(), f.policy, creds, now); e.Reason != c.want || len(steps) == 0 {
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

func TestValidAPIKeyID(t *testing.T) {
	for id, want := range map[string]bool{
		"web-app": true, "a.b_c:d@e9": true, "azAZ09": true, "/": false, ";": false, "[": false, "`": false, "{": false, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a b": false, "a/b": false, "a\n": false, "é": false, "a,b": false,
	} {
		if ValidAPIKeyID(id) != want {
			t.Errorf("%q: %t", id, !want)
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
	f.policy.Claims = []ClaimRule{{Claim: "realm.roles", AnyOf: []string{"admin", "7", "true", ""}}, {Claim: "tenant", AnyOf: []string{"acme"}}}
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
		{roles(map[string]any{"admin": true}), ClaimForbidden}, // is no empty text either
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
		if text, err := r.MarshalText(); err != nil || string(text) != r.String() {
			t.Errorf("%s is written as %q: %v", r, text, err)
		}
		if r.Status() == 401 && r.Challenge() == NoChallenge {
			t.Errorf("%s has no challenge (RFC 9110 §11.6.1)", r)
		}
	}
	if len(seen) != int(reasonCount) {
		t.Errorf("%d of %d reasons", len(seen), reasonCount)
	}
}

func TestNamesParse(t *testing.T) {
	for _, k := range Kinds() {
		var back Kind
		text, _ := k.MarshalText()
		if err := back.UnmarshalText(text); err != nil || string(text) != k.String() || back != k {
			t.Errorf("%s: %v", k, err)
		}
	}
	var k Kind
	if err := k.UnmarshalText([]byte("JTI")); err == nil || Kind(0).String() != "unknown" || kindCount.String() != "unknown" {
		t.Error("JTI is a kind")
	}
	for name, want := range map[string]string{
		FormatText.String(): "text", FormatCSV.String(): "csv", FormatJSON.String(): "json",
		Both.String(): "both", Any.String(): "any", APIKeyOnly.String(): "api_key", BearerOnly.String(): "bearer", None.String(): "none",
		KindToken.String(): "jti", KindSession.String(): "sid", KindSubject.String(): "sub", KindClient.String(): "client",
		KindAPIKey.String(): "api_key", KindIssuer.String(): "issuer",
	} {
		if name != want {
			t.Errorf("%q should be %q", name, want)
		}
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

// An API key that comes in a body meets the checks of one in a header.
func TestAPIKeyFromElsewhere(t *testing.T) {
	f := newFixture(t, "HS256")
	for presented, want := range map[string]struct {
		id     string
		reason Reason
	}{
		"web-key": {"web", OK}, "other-key": {"other", OK}, "old-key": {"", APIKeyInvalid}, "unknown": {"", APIKeyInvalid}, "": {"", APIKeyInvalid},
	} {
		if id, reason := f.gate.APIKey(presented, now); id != want.id || reason != want.reason {
			t.Errorf("%q: %q %s", presented, id, reason)
		}
	}
	f.list.stale = true
	if id, reason := f.gate.APIKey("web-key", now); id != "" || reason != RevocationStale {
		t.Errorf("by a stale list: %q %s", id, reason)
	}
	f.list.add(Revocation{Kind: KindAPIKey, ID: "web"})
	if id, reason := f.gate.APIKey("web-key", now); id != "" || reason != APIKeyInvalid {
		t.Errorf("revoked: %q %s", id, reason)
	}
}

// TestHeadersAreNotShared: what one request adds to the headers of a token that
// many share is not seen by another.
func TestHeadersAreNotShared(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = Both
	for _, claim := range []string{"iss", "absent"} {
		f.policy.Forward.Claims = append(f.policy.Forward.Claims, ClaimHeader{Claim: claim, Header: "X-" + claim})
	}
	f.gate.apiKeys = NewAPIKeys([]APIKey{{ID: "web", SHA256: sha256.Sum256([]byte("web-key"))}, {ID: "app", SHA256: sha256.Sum256([]byte("app-key"))}}, nil)
	token := f.token(nil)
	decide := func(id string) []HeaderValue {
		return f.gate.Decide(f.policy, Extract(header("Api-Key: "+id+"-key", "Authorization: Bearer "+token), "Api-Key"), now).Headers
	}
	first := decide("web")
	decide("app")
	if len(first) != 3 || first[2].Value[0] != "web" {
		t.Errorf("the first request's headers are %v", first)
	}
}
