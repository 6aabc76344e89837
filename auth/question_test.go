package auth

import (
	"context"
	"errors"
	"testing"
	"time"
)

// entriesOf are the entries by which the fixture's token, with a session, could
// be revoked, in the order in which they are looked up.
var entriesOf = []Revocation{
	{Kind: KindToken, Issuer: "main", ID: "t1"},
	{Kind: KindSession, Issuer: "main", ID: "s1"},
	{Kind: KindToken, Issuer: "main", ID: "s1"},
	{Kind: KindSubject, Issuer: "main", ID: "u1"},
	{Kind: KindClient, Issuer: "main", ID: "c1"},
	{Kind: KindIssuer, ID: "main"},
}

// unsure makes the list unsure of entries.
func (f *fixture) unsure(entries ...Revocation) {
	f.list.unsure = map[RevocationKey]bool{}
	for _, r := range entries {
		f.list.unsure[r.Key()] = true
	}
	f.list.asked = nil
}

// What memory is unsure of is denied until the store was asked, and is asked
// about once; what is known to be revoked is not asked about.
func TestQuestionOfRevocation(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = Both
	webKey := Revocation{Kind: KindAPIKey, ID: "web"}
	creds := Extract(header("Api-Key: web-key", "Authorization: Bearer "+f.token(map[string]any{"sid": "s1", "client_id": "c1"})), "Api-Key")
	for name, c := range map[string]struct {
		unsure  []Revocation
		revoked []Revocation
		err     error
		decide  Reason
		resolve Reason
		asked   int
	}{
		"nothing":              {decide: OK, resolve: OK},
		"a token":              {unsure: entriesOf[:1], decide: StoreUnavailable, resolve: OK, asked: 1},
		"all of it":            {unsure: entriesOf, decide: StoreUnavailable, resolve: OK, asked: 6},
		"key and token":        {unsure: append([]Revocation{webKey}, entriesOf...), decide: StoreUnavailable, resolve: OK, asked: 7},
		"revoked":              {unsure: entriesOf[:1], revoked: entriesOf[:1], decide: StoreUnavailable, resolve: TokenRevoked, asked: 1},
		"the last one":         {unsure: entriesOf, revoked: entriesOf[5:], decide: StoreUnavailable, resolve: TokenRevoked, asked: 6},
		"the key":              {unsure: []Revocation{webKey}, revoked: []Revocation{webKey}, decide: StoreUnavailable, resolve: APIKeyInvalid, asked: 1},
		"known to be revoked":  {unsure: entriesOf[:4], revoked: entriesOf[4:5], decide: TokenRevoked, resolve: TokenRevoked},
		"nobody answers":       {unsure: entriesOf, err: errors.New("down"), decide: StoreUnavailable, resolve: StoreUnavailable, asked: 1},
		"nobody, but known":    {unsure: entriesOf[:4], revoked: entriesOf[5:], err: errors.New("down"), decide: TokenRevoked, resolve: TokenRevoked},
		"nobody for the key":   {unsure: []Revocation{webKey}, err: errors.New("down"), decide: StoreUnavailable, resolve: StoreUnavailable, asked: 1},
		"spared by its before": {unsure: entriesOf[3:4], revoked: []Revocation{{Kind: KindSubject, Issuer: "main", ID: "u1", Before: now.Add(-time.Hour)}}, decide: StoreUnavailable, resolve: OK, asked: 1},
	} {
		f.list.entries, f.list.err = nil, c.err
		ask := c.resolve == StoreUnavailable
		for _, r := range c.revoked {
			f.list.add(r)
		}
		f.unsure(c.unsure...)
		d := f.gate.Decide(f.policy, creds, now)
		if d.Reason != c.decide || d.Open() != (c.decide == StoreUnavailable) || len(f.list.asked) > 0 {
			t.Errorf("%s: decided %s, open %t, asked %v", name, d.Reason, d.Open(), f.list.asked)
		}
		d = f.gate.Resolve(t.Context(), f.policy, creds, now)
		if d.Reason != c.resolve || d.Open() || len(f.list.asked) != c.asked {
			t.Errorf("%s: resolved %s, open %t, asked %v", name, d.Reason, d.Open(), f.list.asked)
		}
		f.list.asked = nil
		if e, steps := f.gate.Explain(t.Context(), f.policy, creds, now); e.Reason != c.resolve || len(f.list.asked) != c.asked || ask && steps[len(steps)-1].Detail != "down" {
			t.Errorf("%s: explained %s by %v, asked %v", name, e.Reason, steps, f.list.asked)
		}
		// Connections that go on.
		if c.resolve != OK {
			continue
		}
		if r := f.gate.Recheck(d.Principal, now); r != c.decide {
			t.Errorf("%s: rechecked %s", name, r)
		}
		if r := f.gate.Reconfirm(t.Context(), d.Principal, now); r != OK {
			t.Errorf("%s: confirmed again: %s", name, r)
		}
		for _, r := range c.unsure {
			f.list.add(r)
		}
		want := OK
		if len(c.unsure) > 0 {
			want = TokenRevoked
		}
		if c.asked == 7 {
			want = APIKeyInvalid
		}
		if r := f.gate.Reconfirm(t.Context(), d.Principal, now); r != want {
			t.Errorf("%s: revoked since then: %s", name, r)
		}
		f.list.err = errors.New("down")
		if r := f.gate.Reconfirm(t.Context(), d.Principal, now); r != c.decide {
			t.Errorf("%s: nobody answers: %s", name, r)
		}
	}
}

// A decision that is open again and again is a denial in the end.
func TestQuestionsEnd(t *testing.T) {
	f := newFixture(t, "HS256")
	asked := 0
	defer func(before []check[*attempt]) { requestChecks = before }(requestChecks)
	requestChecks = []check[*attempt]{{name: "never", run: func(a *attempt) Reason {
		a.question = func(context.Context, *known) error { asked++; return nil }
		return KeysUnavailable
	}}}
	if d := f.gate.Resolve(t.Context(), f.policy, bearer(f.token(nil)), now); d.Reason != KeysUnavailable || d.Open() || asked != maxQuestions {
		t.Errorf("%s after %d questions, open %t", d.Reason, asked, d.Open())
	}
}

// A renewal that cannot be told to be good is not made.
func TestRenewUnsure(t *testing.T) {
	f := newFixture(t, "HS256")
	d := f.decide(f.token(map[string]any{"iat": now.Unix() - 3000}))
	f.unsure(entriesOf[0])
	if token, result, err := f.renew(d, now); token != "" || result != RenewFailed || err == nil {
		t.Errorf("%q %s %v", token, result, err)
	}
}
