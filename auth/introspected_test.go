package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// afar is an issuer for tests that is asked about its tokens. All that is not in
// answers is inactive.
type afar struct {
	answers  map[string]string
	cache    time.Duration
	err      error
	asked    []string
	inactive map[string]bool
}

func (a *afar) Inactive(token string, _ time.Time) bool { return a.inactive[token] }

func (a *afar) Ask(_ context.Context, token string) (*Introspected, error) {
	a.asked = append(a.asked, token)
	if a.err != nil {
		return nil, a.err
	}
	text, ok := a.answers[token]
	if !ok {
		text = `{"active":false}`
	}
	i, err := ParseIntrospected([]byte(text))
	if err == nil {
		i.Until = now.Add(a.cache).Unix()
	}
	return i, err
}

const opaque = "ya29.a0AfB_by+C/x~=="

// newOpaqueFixture is a gate with an issuer of signed tokens and one that is asked
// about its own.
func newOpaqueFixture(t testing.TB) (*fixture, *afar) {
	f := newFixture(t, "HS256")
	a := &afar{answers: map[string]string{}, cache: 30 * time.Second, inactive: map[string]bool{}}
	i := *f.issuer
	i.Name, i.Issuer, i.Keys, i.Renew, i.Introspection = "afar", "https://afar.example.com", NewStaticKeys(nil), nil, a
	f.policy.Issuers = append(f.policy.Issuers, &i)
	a.say(opaque, nil)
	return f, a
}

// say has the issuer answer that the token is good, with changes; nil takes a
// member out.
func (a *afar) say(token string, changes map[string]any) {
	answer := map[string]any{
		"active": true, "iss": "https://afar.example.com", "sub": "u1", "aud": "api", "client_id": "app", "scope": "read",
		"iat": now.Unix() - 60, "exp": now.Unix() + 3540, "token_type": "Bearer",
	}
	maps.Copy(answer, changes)
	maps.DeleteFunc(answer, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	a.answers[token] = string(text)
}

// resolve decides as a request does: from memory if that will do.
func (f *fixture) resolve(token string, at time.Time) Decision {
	f.t.Helper()
	if d := f.gate.Decide(f.policy, bearer(token), at); !d.Open() {
		return d
	} else if d.Reason.Status() < 500 || d.Principal.Token != nil {
		f.t.Errorf("an open decision is %+v", d)
	}
	d := f.gate.Resolve(f.t.Context(), f.policy, bearer(token), at)
	if d.Open() {
		f.t.Error("it is still open")
	}
	return d
}

func (f *fixture) wantResolved(token string, at time.Time, want Reason) {
	f.t.Helper()
	if d := f.resolve(token, at); d.Reason != want {
		f.t.Errorf("%.40q: %s, want %s", token, d.Reason, want)
	}
}

// What the issuer says is checked as what it would have signed.
func TestIntrospectedMembers(t *testing.T) {
	for _, c := range []struct {
		changes map[string]any
		want    Reason
	}{
		{nil, OK},
		{map[string]any{"iss": nil}, OK},
		{map[string]any{"iss": "https://auth.example.com"}, TokenUntrusted},
		{map[string]any{"iss": ""}, TokenUntrusted},
		{map[string]any{"iss": []string{"https://afar.example.com"}}, TokenUntrusted},
		{map[string]any{"active": false}, TokenUntrusted},
		{map[string]any{"aud": nil}, TokenAudience},
		{map[string]any{"aud": "other"}, TokenAudience},
		{map[string]any{"aud": []string{"other", "api2"}}, OK},
		{map[string]any{"sub": nil}, TokenClaims},
		{map[string]any{"sub": ""}, TokenClaims},
		{map[string]any{"exp": now.Unix() - 10}, TokenExpired},
		{map[string]any{"exp": now.Unix() - 9}, OK}, // leeway
		{map[string]any{"exp": "3000000000"}, TokenClaims},
		{map[string]any{"nbf": now.Unix() + 11}, TokenNotYetValid},
		{map[string]any{"iat": now.Unix() + 11}, TokenNotYetValid},
		{map[string]any{"exp": now.Unix() + 25*3600}, TokenClaims}, // life
		{map[string]any{"exp": nil, "iat": nil}, OK},
		{map[string]any{"exp": nil}, OK},
		{map[string]any{"exp": nil, "iat": now.Unix() - 24*3600 - 10}, TokenExpired},
		{map[string]any{"token_type": nil}, OK},
		{map[string]any{"token_type": "bearer"}, OK},
		{map[string]any{"token_type": "access_token"}, OK},
		{map[string]any{"token_type": "refresh_token"}, TokenClaims},
		{map[string]any{"token_type": "DPoP"}, TokenClaims},
		{map[string]any{"token_type": []string{"Bearer"}}, TokenClaims},
		{map[string]any{"token_use": "access_token"}, OK},
		{map[string]any{"token_use": "refresh_token"}, TokenClaims},
		{map[string]any{"token_use": "id"}, TokenClaims},
	} {
		f, a := newOpaqueFixture(t)
		a.say(opaque, c.changes)
		f.wantResolved(opaque, now, c.want)
		f.wantResolved(opaque, now, c.want) // remembered or not
	}
}

// Which tokens the issuer gets to see: those that could be its own.
func TestIntrospectedForm(t *testing.T) {
	f, a := newOpaqueFixture(t)
	for token, want := range map[string]Reason{
		opaque: OK, "x": TokenUntrusted, "a.b": TokenUntrusted, "a.b.c.d.e": TokenUntrusted,
		strings.Repeat("x", 4096): TokenUntrusted,
	} {
		a.asked = nil
		f.wantResolved(token, now, want)
		if !slices.Equal(a.asked, []string{token}) {
			t.Errorf("%.20q: asked about %.40q", token, a.asked)
		}
	}
	a.asked = nil
	for _, token := range []string{strings.Repeat("x", 4097), "=", "a=b", "a b", "a\"b", "a,b", "é", "a%20b", "a\x00", "a\r\nb"} {
		f.wantResolved(token, now, TokenMalformed)
	}
	good := f.token(nil)
	f.wantResolved(good, now, OK)
	f.wantResolved(good[:len(good)-4]+"AAAA", now, TokenUntrusted)
	f.wantResolved("a.b.c", now, TokenMalformed)
	f.policy.Mode = Both
	for _, lines := range [][]string{{"Authorization: Bearer " + opaque}, {"Api-Key: nonsense", "Authorization: Bearer " + opaque}} {
		if d := f.gate.Decide(f.policy, Extract(header(lines...), "Api-Key"), now); d.Open() {
			t.Errorf("%q is asked about", lines)
		}
	}
	f.policy.Mode, f.policy.Issuers = BearerOnly, []*Issuer{f.issuer}
	f.wantResolved(opaque, now, TokenMalformed)
	if a.asked != nil {
		t.Errorf("asked about %.40q", a.asked)
	}
}

// An answer is remembered for as long as it may be, and of a token that is not
// good nothing is.
func TestIntrospectedIsRemembered(t *testing.T) {
	f, a := newOpaqueFixture(t)
	asked := func(want int, at time.Time) {
		t.Helper()
		a.asked = nil
		f.wantResolved(opaque, at, OK)
		if len(a.asked) != want {
			t.Errorf("asked %d times, want %d", len(a.asked), want)
		}
	}
	asked(1, now)
	asked(0, now.Add(29*time.Second))
	asked(1, now.Add(30*time.Second)) // whose answer has no future either: the fake's clock stands
	f.build()
	a.say(opaque, map[string]any{"exp": now.Unix() + 5})
	asked(1, now)
	asked(0, now.Add(4*time.Second))
	asked(1, now.Add(5*time.Second)) // within the leeway only the issuer knows
	f.build()
	a.cache = 0
	asked(1, now)
	asked(1, now)
	if n := f.gate.tokens.EstimatedSize(); n != 0 {
		t.Errorf("%d tokens are remembered", n)
	}
	f.wantResolved("made-up", now, TokenUntrusted)
	if n := f.gate.tokens.EstimatedSize(); n != 0 {
		t.Error("a token that is not good is remembered")
	}
	a.inactive[opaque], a.asked = true, nil
	f.wantResolved(opaque, now, TokenUntrusted)
	if a.asked != nil {
		t.Error("the issuer is asked about what it has denied")
	}
}

// One answer is no other's: not another issuer's, not another route's rules, and
// it does not outlast a revocation.
func TestR20IntrospectedIsNotMixedUp(t *testing.T) {
	f, _ := newOpaqueFixture(t)
	f.wantResolved(opaque, now, OK)
	for _, rules := range []func(p *Policy){
		func(p *Policy) { p.Scopes = []string{"write"} },
		func(p *Policy) { p.Claims = []ClaimRule{{Claim: "sub", AnyOf: []string{"u2"}}} },
	} {
		other := *f.policy
		rules(&other)
		if d := f.gate.Decide(&other, bearer(opaque), now); d.Open() || d.Reason.Status() != 403 {
			t.Errorf("another route answers %s", d.Reason)
		}
	}
	b := &afar{cache: time.Minute}
	elsewhere, issuer := *f.policy, *f.policy.Issuers[1]
	issuer.Name, issuer.Introspection = "elsewhere", b
	elsewhere.Issuers = []*Issuer{&issuer}
	if d := f.gate.Resolve(t.Context(), &elsewhere, bearer(opaque), now); d.Reason != TokenUntrusted || len(b.asked) != 1 {
		t.Errorf("another issuer's route answers %s", d.Reason)
	}
	f.wantResolved(opaque, now, OK)
	b.answers = map[string]string{opaque: `{"active":true,"sub":"u2","aud":"api"}`} // a token of both, of different users
	for range 2 {
		if d := f.gate.Resolve(t.Context(), &elsewhere, bearer(opaque), now); d.Reason != OK || d.Principal.Token.Subject() != "u2" || d.Principal.Token.Issuer() != &issuer {
			t.Errorf("another issuer's route lets in %+v", d.Principal.Token)
		}
		if d := f.resolve(opaque, now); d.Reason != OK || d.Principal.Token.Subject() != "u1" {
			t.Errorf("the first issuer's route lets in %+v", d.Principal.Token)
		}
	}
}

func TestIntrospectedIsRevoked(t *testing.T) {
	sum := sha256.Sum256([]byte(opaque))
	for _, c := range []struct {
		kind Kind
		id   string
	}{
		{KindToken, hex.EncodeToString(sum[:])},
		{KindSession, hex.EncodeToString(sum[:])},
		{KindSubject, "u1"},
		{KindClient, "app"},
		{KindIssuer, "afar"},
	} {
		f, a := newOpaqueFixture(t)
		f.wantResolved(opaque, now, OK)
		r := Revocation{Kind: c.kind, ID: c.id, Before: now}
		if c.kind.Scoped() {
			r.Issuer = "afar"
		}
		d := f.resolve(opaque, now)
		f.list.add(r)
		f.wantResolved(opaque, now, TokenRevoked)
		if len(a.asked) != 1 {
			t.Errorf("%s: asked %d times", c.kind, len(a.asked))
		}
		if reason := f.gate.Recheck(d.Principal, now); reason != TokenRevoked {
			t.Errorf("%s: a connection goes on: %s", c.kind, reason)
		}
	}
	f, a := newOpaqueFixture(t)
	a.say(opaque, map[string]any{"jti": "t1", "sid": "s1"})
	d := f.resolve(opaque, now)
	if token := d.Principal.Token; token.ID() != "t1" || token.SessionID() != "s1" || token.SignedByClient() || d.RenewalDue {
		t.Errorf("id %s, session %s, renewal %t", token.ID(), token.SessionID(), d.RenewalDue)
	}
	if len(d.Headers) != 1 || d.Headers[0].Value[0] != "u1" {
		t.Errorf("headers %v", d.Headers)
	}
	if got := string(f.resolve(opaque, now).Principal.Token.Claims().JSON()); got != a.answers[opaque] {
		t.Errorf("remembered are the claims %s, want %s", got, a.answers[opaque])
	}
	if reason := f.gate.Recheck(d.Principal, now.Add(2*time.Hour)); reason != TokenExpired {
		t.Errorf("a connection goes on after exp: %s", reason)
	}
}

// What only the issuer knows the end of has none to show, and no life.
func TestIntrospectedWithoutEnd(t *testing.T) {
	f, a := newOpaqueFixture(t)
	for life, changes := range map[time.Duration]map[string]any{
		0:              {"exp": nil, "iat": nil},
		time.Hour:      {},
		24 * time.Hour: {"exp": nil},
	} {
		token := fmt.Sprintf("life-%s", life)
		a.say(token, changes)
		got := f.resolve(token, now).Principal.Token
		if got.Life() != life || got.Expires().IsZero() != (life == 0) {
			t.Errorf("life %s, want %s; ends %s", got.Life(), life, got.Expires())
		}
	}
}

// An issuer that cannot be asked is no verdict, and what is remembered stands.
func TestQ05IssuerDoesNotAnswer(t *testing.T) {
	f, a := newOpaqueFixture(t)
	f.wantResolved(opaque, now, OK)
	a.err = errors.New("the issuer is out")
	f.wantResolved(opaque, now, OK)
	f.wantResolved("other", now, KeysUnavailable)
	f.wantResolved(opaque, now.Add(time.Minute), KeysUnavailable)
	_, steps := f.gate.Explain(t.Context(), f.policy, bearer(opaque), now)
	if last := steps[len(steps)-1]; last.Result != "keys_unavailable" || last.Detail != a.err.Error() {
		t.Errorf("explained as %+v", steps)
	}
}

// A connection that goes on has its issuer asked again, each now and then.
func TestIntrospectedConnection(t *testing.T) {
	f, a := newOpaqueFixture(t)
	p := f.resolve(opaque, now).Principal
	check := func(after int, asked int, want Reason) {
		t.Helper()
		a.asked = nil
		at := now.Add(time.Duration(after) * time.Second)
		reason := f.gate.Recheck(p, at)
		if open := reason.Status() >= 500; open != (asked > 0) || a.asked != nil {
			t.Errorf("after %d s: %s, asked %d times", after, reason, len(a.asked))
		}
		if reason.Status() >= 500 {
			reason = f.gate.Reconfirm(t.Context(), p, at)
		}
		if reason != want || len(a.asked) != asked {
			t.Errorf("after %d s: %s, asked %d times", after, reason, len(a.asked))
		}
	}
	check(39, 0, OK)
	a.cache = 70 * time.Second
	check(40, 1, OK)
	check(79, 0, OK)
	a.err = errors.New("out")
	check(80, 1, StoreUnavailable) // no verdict, and not asked at each look
	check(89, 0, OK)
	check(90, 1, StoreUnavailable)
	a.err, a.cache = nil, 0
	check(100, 1, OK) // once, although the answer is as old as that already
	a.cache = 10 * time.Minute
	a.say(opaque, map[string]any{"active": false})
	check(100, 1, TokenUntrusted)
	check(100, 1, TokenUntrusted) // another connection
	check(3551, 0, TokenExpired)
}

func TestIntrospectedIsExplained(t *testing.T) {
	f, a := newOpaqueFixture(t)
	a.inactive[opaque] = true // what is remembered explains nothing
	d, steps := f.gate.Explain(t.Context(), f.policy, bearer(opaque), now)
	var checks []string
	for _, s := range steps {
		if s.Result != "ok" && s.Result != Skipped {
			t.Errorf("%+v", s)
		}
		checks = append(checks, s.Check)
	}
	want := "api key, token form, introspection, token kind, token claims, token time, audience, required claims, bearer token"
	if got := strings.Join(checks, ", "); d.Reason != OK || !strings.HasPrefix(got, want) {
		t.Errorf("%s: %s", d.Reason, got)
	}
	if f.gate.tokens.EstimatedSize() != 0 {
		t.Error("it is remembered")
	}
	a.say(opaque, map[string]any{"iss": "x"})
	_, steps = f.gate.Explain(t.Context(), f.policy, bearer(opaque), now)
	if !slices.ContainsFunc(steps, func(s Step) bool {
		return s.Result == "token_untrusted" && s.Detail == `issuer "afar" answers active: true, but iss is "x"`
	}) {
		t.Errorf("%+v", steps)
	}
}

func TestInspectOpaque(t *testing.T) {
	f, a := newOpaqueFixture(t)
	var err error
	f.gate, err = NewGate(GateConfig{APIKeys: NewAPIKeys(nil, nil), Issuers: f.policy.Issuers, Revocations: f.list})
	if err != nil {
		t.Fatal(err)
	}
	if r, _ := f.gate.Inspect(t.Context(), opaque, now); r.Reason != OK || string(r.Claims) != a.answers[opaque] || r.Header != nil {
		t.Errorf("%+v", r)
	}
	if r, _ := f.gate.Inspect(t.Context(), "other", now); r.Reason != TokenUntrusted || r.Claims != nil || r.Token != nil {
		t.Errorf("%+v", r)
	}
	second := *f.policy.Issuers[1]
	b := &afar{answers: map[string]string{}}
	second.Name, second.Introspection = "second", b
	b.say("other", nil)
	f.gate.issuers = append(f.gate.issuers, &second)
	if r, _ := f.gate.Inspect(t.Context(), "other", now); r.Reason != OK || r.Token.Issuer() != &second {
		t.Errorf("of the second issuer: %+v", r)
	}
	if r, _ := f.gate.Inspect(t.Context(), f.token(nil), now); r.Reason != OK || r.Token.Issuer() != f.issuer || len(b.asked) != 1 {
		t.Errorf("a JWT: %+v, asked about %q", r, b.asked)
	}
}

// notAnswers are what an issuer must not answer.
var notAnswers = []string{
	``, ` `, `null`, `true`, `[]`, `"active"`, `{}`, `{"active":null}`, `{"active":"true"}`, `{"active":1}`, `{"active":{}}`, `{"Active":true}`,
	`{"active":true`, `{"active":true}}`, `{"active":true} {"active":true}`, `{"active":true},`, `{"active":true,"active":true}`, `{"active":false,"active":true}`,
	`{"active":true,"sub":"a","sub":"b"}`, `{"active":true,"\u0061ctive":false}`, `{"active":true,"a":{"b":1,"b":2}}`, `{"active":true,"sub":"` + "\xff" + `"}`,
	`{"active":true,"exp":01}`, `{"active":true,"exp":NaN}`, `{'active':true}`, `{"active":true,}`, `{active:true}`, "\ufeff" + `{"active":true}`,
	`{"active":tru}`, `{"active":true,"a":` + strings.Repeat("[", 20000) + `}`, `<html>active</html>`, `active=true`,
}

func TestParseIntrospected(t *testing.T) {
	for _, text := range notAnswers {
		if i, err := ParseIntrospected([]byte(text)); err == nil || i != nil {
			t.Errorf("%.60q is taken for %+v", text, i)
		}
	}
	if _, err := ParseIntrospected([]byte(`{"active":true,"active":true}`)); err == nil || !strings.Contains(err.Error(), "each name once") {
		t.Errorf("two of one name: %v", err)
	}
	i, err := ParseIntrospected([]byte(`{"active":false,"sub":"u1"}`))
	if err != nil || i.Active || i.Claims.JSON() != nil {
		t.Errorf("%+v %v", i, err)
	}
}

// FuzzIntrospected: no answer is taken for more than it says, and none breaks
// anything.
func FuzzIntrospected(f *testing.F) {
	fix, a := newOpaqueFixture(f)
	f.Add(a.answers[opaque])
	f.Add(`{"active":true,"sub":"u1","aud":["api"],"iat":1e300,"exp":-1}`)
	f.Add(`{"active":true,"sub":{"a":[1]},"aud":{},"scope":["a",null],"sid":7}`)
	for _, text := range notAnswers {
		f.Add(text)
	}
	fix.policy.Issuers[1].AnyAudience = true
	f.Fuzz(func(t *testing.T, answer string) {
		a.answers[opaque], a.cache = answer, 0
		d := fix.gate.Resolve(t.Context(), fix.policy, bearer(opaque), now)
		e, _ := fix.gate.Explain(t.Context(), fix.policy, bearer(opaque), now)
		if d.Reason != e.Reason || d.Open() {
			t.Fatalf("decided %s, explained %s", d.Reason, e.Reason)
		}
		var said map[string]any
		err := json.Unmarshal([]byte(answer), &said)
		switch active := said["active"]; {
		case d.Reason == KeysUnavailable: // refused, which is never wrong
		case err != nil || active != true && active != false:
			t.Fatalf("%q is taken for an answer: %s", answer, d.Reason)
		case active == false && d.Reason != TokenUntrusted:
			t.Fatalf("%q: %s", answer, d.Reason)
		}
		if d.Reason == OK && (said["sub"] == nil || said["sub"] == "" || said["iss"] != nil && said["iss"] != "https://afar.example.com") {
			t.Fatalf("%q passed", answer)
		}
	})
}
