package auth

import (
	"crypto"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// claimsOf decodes a token that was just made.
func claimsOf(t *testing.T, compact string) map[string]any {
	t.Helper()
	_, payload, _, ok := split(compact, 1<<20)
	raw, err := encoding.DecodeString(payload)
	if !ok || err != nil {
		t.Fatalf("%q is no token: %v", compact, err)
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	claims := map[string]any{}
	if err := d.Decode(&claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestRenewalForEveryAlgorithm(t *testing.T) {
	for _, alg := range allAlgorithms {
		t.Run(alg, func(t *testing.T) {
			f := newFixture(t, alg)
			f.issuer.Renew.After = 0
			presented := f.raw(fmt.Sprintf(`{"alg":%q,"kid":"k1","typ":"at+jwt","jku":"http://127.0.0.1:1"}`, alg), f.payload(`,"n":12345678901234567890,"o":{"a":1}`))
			renewed, result, err := f.renew(f.want(presented, OK), now)
			if err != nil || result != RenewMinted {
				t.Fatal(result, err)
			}
			got := claimsOf(t, renewed)
			life := int64(3600)
			want := map[string]string{
				"iss": f.issuer.Issuer, "sub": "u1", "aud": "api", "sid": "t1", "auth_time": fmt.Sprint(now.Unix() - 60),
				"iat": fmt.Sprint(now.Unix()), "nbf": fmt.Sprint(now.Unix()), "exp": fmt.Sprint(now.Unix() + life),
				"n": "12345678901234567890", "o": "map[a:1]",
			}
			for name, value := range want {
				if fmt.Sprint(got[name]) != value {
					t.Errorf("%s is %v, want %s", name, got[name], value)
				}
			}
			if len(got) != len(want)+1 || got["jti"] == "t1" || len(fmt.Sprint(got["jti"])) < 22 {
				t.Errorf("claims %v", got)
			}
			h, _, _, _ := split(renewed, 1<<20)
			raw, _ := encoding.DecodeString(h)
			if string(raw) != fmt.Sprintf(`{"alg":%q,"kid":"k1","typ":"at+jwt"}`, alg) {
				t.Errorf("header %s", raw)
			}
			// The successor is good, and its own successor stays in the session.
			later := now.Add(10 * time.Minute)
			d := f.gate.Decide(f.policy, bearer(renewed), later)
			again, _, err := f.renew(d, later)
			if d.Reason != OK || err != nil {
				t.Fatal(d.Reason, err)
			}
			if claimsOf(t, again)["jti"] == got["jti"] {
				t.Error("two renewals have one jti")
			}
			if got := claimsOf(t, again); got["sid"] != "t1" || fmt.Sprint(got["auth_time"]) != want["auth_time"] {
				t.Errorf("the second renewal: %v", got)
			}
		})
	}
}

func TestRenewalDue(t *testing.T) {
	f := newFixture(t, "HS256") // after half of its life
	for age, want := range map[int64]bool{0: false, 1799: false, 1800: true, 3599: true} {
		iat := now.Unix() - age
		d := f.want(f.token(map[string]any{"iat": iat, "exp": iat + 3600, "jti": fmt.Sprint(age)}), OK)
		if d.RenewalDue != want {
			t.Errorf("age %d: due %t", age, d.RenewalDue)
		}
	}
	iat := now.Unix() - 3000
	old := f.token(map[string]any{"iat": iat, "exp": iat + 3600})
	f.policy.Renew = false
	if f.want(old, OK).RenewalDue {
		t.Error("due on a route that does not renew")
	}
	f.policy.Renew = true
	f.issuer.Renew = nil
	if f.want(old, OK).RenewalDue {
		t.Error("due for an issuer that does not renew")
	}
	f.issuer.Renew = &RenewPolicy{MaxSession: time.Hour}
	if !f.want(f.token(map[string]any{"iat": now.Unix(), "exp": now.Unix() + 60}), OK).RenewalDue {
		t.Error("after: 0 is not always due")
	}
	if !f.want(f.token(map[string]any{"iat": now.Unix() + 5, "exp": now.Unix() + 60}), OK).RenewalDue {
		t.Error("after: 0 is not due while the issuer's clock is ahead")
	}
}

func TestL06AbsoluteCap(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.Renew = &RenewPolicy{MaxSession: 2 * time.Hour}
	unix := now.Unix()
	for _, c := range []struct {
		name               string
		authTime, iat, exp int64
		result             RenewResult
		wantExp            int64
	}{
		{"far from the cap", unix - 3600, unix - 60, unix + 600, RenewMinted, unix + 660},
		{"shortened by the cap", unix - 7000, unix - 600, unix + 100, RenewMinted, unix + 200},
		{"ended by the cap before the presented token", unix - 7000, unix - 600, unix + 600, RenewMinted, unix + 200},
		{"past the cap", unix - 7200, unix - 600, unix + 600, RenewCapped, 0},
		{"long past", unix - 100000, unix - 600, unix + 600, RenewCapped, 0},
	} {
		d := f.want(f.token(map[string]any{"auth_time": c.authTime, "iat": c.iat, "exp": c.exp, "sid": "s", "jti": c.name}), OK)
		renewed, result, err := f.renew(d, now)
		if result != c.result || err != nil || (renewed != "") != (c.result == RenewMinted) {
			t.Errorf("%s: %s %v", c.name, result, err)
			continue
		}
		if renewed != "" && fmt.Sprint(claimsOf(t, renewed)["exp"]) != fmt.Sprint(c.wantExp) {
			t.Errorf("%s: exp %v, want %d", c.name, claimsOf(t, renewed)["exp"], c.wantExp)
		}
	}
}

func TestL07OneSuccessorPerInterval(t *testing.T) {
	f := newFixture(t, "RS256")
	f.issuer.Renew.After = 0
	token := f.token(nil)
	var mu sync.Mutex
	seen, minted, reused := map[string]int{}, 0, 0
	parallel := func(at time.Time) {
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				renewed, result, err := f.renew(f.gate.Decide(f.policy, bearer(token), at), at)
				mu.Lock()
				defer mu.Unlock()
				seen[renewed]++
				switch result {
				case RenewMinted:
					minted++
				case RenewReused:
					reused++
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	parallel(now)
	parallel(now.Add(59 * time.Second))
	if len(seen) != 1 || minted != 1 {
		t.Errorf("one interval: %d successors, %d signatures", len(seen), minted)
	}
	parallel(now.Add(60 * time.Second)) // a sixtieth of an hour's life
	if len(seen) != 2 || minted != 2 || reused != 3*64-2 {
		t.Errorf("two intervals: %d successors, %d signatures, %d reused", len(seen), minted, reused)
	}
}

// crowdSigner signs once the whole crowd is on its way to the signature.
type crowdSigner struct {
	crypto.Signer
	coming, signed *atomic.Int32
	crowd          int32
}

func (s crowdSigner) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.signed.Add(1)
	for s.coming.Load() < s.crowd {
		runtime.Gosched()
	}
	for range 100 { // they come from the counter to the lock
		runtime.Gosched()
	}
	return s.Signer.Sign(r, digest, opts)
}

func TestL07WhoWaitedForTheSignatureTakesIt(t *testing.T) {
	f := newFixture(t, "EdDSA")
	f.issuer.Renew.After = 0
	var coming, signed atomic.Int32
	const crowd = 16
	key, err := NewSigningKey("k1", "EdDSA", crowdSigner{asymmetric()["EdDSA"], &coming, &signed, crowd})
	if err != nil {
		t.Fatal(err)
	}
	f.issuer.Keys = NewStaticKeys([]*Key{key})
	d := f.decide(f.token(nil))
	var reused atomic.Int32
	var wg sync.WaitGroup
	for range crowd {
		wg.Go(func() {
			coming.Add(1)
			if _, result, _ := f.renew(d, now); result == RenewReused {
				reused.Add(1)
			}
		})
	}
	wg.Wait()
	if signed.Load() != 1 || reused.Load() != crowd-1 {
		t.Errorf("%d signatures, %d took another's", signed.Load(), reused.Load())
	}
}

func TestR22RenewalOfADeadToken(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.Renew.After = 0
	d := f.want(f.token(map[string]any{"sid": "s1"}), OK)
	if _, result, _ := f.renew(d, now); result != RenewMinted {
		t.Fatal(result)
	}
	// Revoked while the upstream was working: not even the successor that is there already.
	f.list.add(Revocation{Kind: KindSession, Issuer: "main", ID: "s1"})
	if token, result, err := f.renew(d, now); token != "" || result != RenewRevoked || err != nil {
		t.Errorf("revoked: %q %s %v", token, result, err)
	}
	f.list.entries = nil
	if token, result, err := f.renew(d, now.Add(2*time.Hour)); token != "" || result != RenewFailed || err == nil {
		t.Errorf("expired: %q %s %v", token, result, err)
	}
	for _, d := range []Decision{{}, {Reason: OK}, {Reason: TokenRevoked, Principal: d.Principal}} {
		if token, result, err := f.renew(d, now); token != "" || result != RenewFailed || err == nil {
			t.Errorf("%s: %q %s %v", d.Reason, token, result, err)
		}
	}
}

func TestRenewedTokensDieTogether(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.Renew.After = 0
	for name, session := range map[string]any{"with sid": "s1", "without sid": nil} {
		f.list.entries = nil
		first := f.token(map[string]any{"sid": session, "jti": name})
		chain := []string{first}
		at := now
		for range 3 {
			renewed, _, err := f.renew(f.gate.Decide(f.policy, bearer(chain[len(chain)-1]), at), at)
			if err != nil {
				t.Fatal(err)
			}
			chain = append(chain, renewed)
			at = at.Add(time.Minute)
		}
		last := f.gate.Decide(f.policy, bearer(chain[3]), at).Principal.Token
		for _, r := range []Revocation{
			{Kind: KindSession, Issuer: "main", ID: last.SessionID()},
			{Kind: KindSubject, Issuer: "main", ID: "u1", Before: now.Add(-60 * time.Second)},
		} {
			f.list.entries = nil
			f.list.add(r)
			for i, token := range chain {
				if d := f.gate.Decide(f.policy, bearer(token), at); d.Reason != TokenRevoked {
					t.Errorf("%s, %s: generation %d: %s", name, r.Kind, i, d.Reason)
				}
			}
		}
	}
	// Revoking the first token by its id ends the session that grew out of it.
	first := f.token(map[string]any{"jti": "first"})
	f.list.entries = nil
	renewed, _, _ := f.renew(f.decide(first), now)
	f.list.add(Revocation{Kind: KindToken, Issuer: "main", ID: "first"})
	f.want(first, TokenRevoked)
	f.want(renewed, TokenRevoked)
}

func TestRenewalThatCannotBeMade(t *testing.T) {
	for name, change := range map[string]func(f *fixture) string{
		"no life": func(f *fixture) string { // the issuer's clock is ahead
			return f.token(map[string]any{"iat": now.Unix() + 5, "exp": now.Unix() + 5})
		},
		"a life of less than nothing": func(f *fixture) string {
			return f.token(map[string]any{"iat": now.Unix() + 5, "exp": now.Unix() + 3})
		},
		"an issuer that does not renew": func(f *fixture) string {
			f.issuer.Renew = nil
			return f.token(nil)
		},
		"a key that fails": func(f *fixture) string {
			token := f.token(nil)
			remote, err := NewSigningKey("k1", "ES256", remoteSigner{asymmetric()["ES256"]})
			if err != nil {
				t.Fatal(err)
			}
			f.issuer.Keys = NewStaticKeys([]*Key{remote})
			return token
		},
		"no iat": func(f *fixture) string { return f.token(map[string]any{"iat": nil, "exp": now.Unix() + 60}) },
		"no key that signs": func(f *fixture) string {
			token := f.token(nil)
			public, err := NewVerificationKey("k1", "ES256", asymmetric()["ES256"].Public())
			if err != nil {
				t.Fatal(err)
			}
			f.issuer.Keys = NewStaticKeys([]*Key{public})
			return token
		},
		"too large": func(f *fixture) string {
			token := f.token(map[string]any{"jti": nil, "pad": strings.Repeat("x", 2000)})
			renewed, result, err := f.renew(f.want(token, OK), now)
			if result != RenewMinted {
				t.Fatal(result, err)
			}
			f.build()
			f.issuer.MaxTokenBytes = len(renewed)
			if _, result, err := f.renew(f.want(token, OK), now); result != RenewMinted {
				t.Errorf("as large as may be: %s %v", result, err)
			}
			f.build()
			f.issuer.MaxTokenBytes = len(renewed) - 1
			return token
		},
	} {
		f := newFixture(t, "ES256")
		f.issuer.Renew.After = 0
		d := f.want(change(f), OK)
		if token, result, err := f.renew(d, now); token != "" || result != RenewFailed || err == nil {
			t.Errorf("%s: %q %s %v", name, token, result, err)
		}
	}
}

func TestSessionIsKeptAsWritten(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.Renew.After = 0
	for sid, want := range map[string]string{`7`: "7", `""`: "t1", `null`: "t1", `"a\u00e9"`: "aé"} {
		presented := f.raw(f.header(), f.payload(`,"sid":`+sid))
		renewed, _, err := f.renew(f.want(presented, OK), now)
		if err != nil {
			t.Fatal(err)
		}
		if sid == `7` {
			_, payload, _, _ := split(renewed, 1<<20)
			if raw, _ := encoding.DecodeString(payload); !strings.Contains(string(raw), `"sid":7,`) {
				t.Errorf("the number became something else: %s", raw)
			}
		}
		if got := claimsOf(t, renewed)["sid"]; fmt.Sprint(got) != want {
			t.Errorf("sid %s became %v", sid, got)
		}
		f.want(renewed, OK)
	}
}

func TestRenewResultNames(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range RenewResults() {
		seen[r.String()] = true
	}
	if len(seen) != int(renewResultCount) || seen[""] {
		t.Errorf("%v", seen)
	}
}

func TestReissue(t *testing.T) {
	f := newFixture(t, "ES256")
	later := now.Add(10 * time.Minute)
	for name, c := range map[string]struct {
		claims map[string]any
		want   string
	}{
		"no sid":       {nil, "given"},
		"sid like jti": {map[string]any{"sid": "t1"}, "given"},
		"sid":          {map[string]any{"sid": "s1"}, "s1"},
	} {
		presented := f.want(f.token(c.claims), OK).Principal.Token
		again, id, err := presented.Reissue(later, later.Add(time.Minute), "given")
		if err != nil {
			t.Fatal(err)
		}
		got := claimsOf(t, again)
		if got["sid"] != c.want || got["jti"] != id || id == "t1" || fmt.Sprint(got["auth_time"]) != fmt.Sprint(now.Unix()-60) ||
			fmt.Sprintf("%v %v %v", got["iat"], got["nbf"], got["exp"]) != fmt.Sprintf("%d %d %d", later.Unix(), later.Unix(), later.Unix()+60) {
			t.Errorf("%s: %v", name, got)
		}
		if f.gate.Decide(f.policy, bearer(again), later).Reason != OK {
			t.Errorf("%s: the new token is not good", name)
		}
	}
	presented := f.want(f.token(nil), OK).Principal.Token
	f.issuer.MaxTokenBytes = 100
	if _, _, err := presented.Reissue(later, later.Add(time.Minute), "given"); err == nil {
		t.Error("a token that is too large")
	}
}
