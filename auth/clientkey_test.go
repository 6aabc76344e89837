package auth

import (
	"testing"
	"time"
)

// A client knows the secret that its tokens are signed with, and can sign with
// it what it likes.
func TestClientSecretSpeaksForItsClientOnly(t *testing.T) {
	f := newFixture(t, "ES256")
	own := f.key
	client, err := NewSecretKey("partner-1", "HS256", secret)
	if err != nil {
		t.Fatal(err)
	}
	client.Client, client.Scopes = "partner-1", []string{"read", "write"}
	f.issuer.Keys = NewClientKeys(NewStaticKeys([]*Key{own}), []*Key{client})
	f.build()
	f.want(f.token(nil), OK) // the issuer's own key speaks for everybody
	f.key = client
	good := map[string]any{
		"sub": "partner-1", "client_id": "partner-1", "scope": "read", "nbf": now.Unix(),
		"sid": "s1", "auth_time": now.Unix() - 60,
	}
	with := func(name string, value any) map[string]any {
		changes := map[string]any{name: value}
		for n, v := range good {
			if n != name {
				changes[n] = v
			}
		}
		return changes
	}
	for _, test := range []struct {
		why     string
		changes map[string]any
		want    Reason
	}{
		{"all that we issue", good, OK},
		{"no scope", with("scope", nil), OK},
		{"another subject", with("sub", "alice"), TokenUntrusted},
		{"no subject", with("sub", nil), TokenUntrusted},
		{"another client", with("client_id", "partner-2"), TokenUntrusted},
		{"no client", with("client_id", nil), TokenUntrusted},
		{"one scope too many", with("scope", "read admin"), TokenUntrusted},
		{"scope as a list", with("scope", []string{"admin"}), TokenUntrusted},
		{"scp", with("scp", []string{"admin"}), TokenUntrusted},
		{"azp", with("azp", "partner-2"), TokenUntrusted},
		{"email", with("email", "alice@example.com"), TokenUntrusted},
		{"roles", with("roles", []string{"admin"}), TokenUntrusted},
		{"another issuer", with("iss", "https://other.example.com"), TokenUntrusted},
		{"expired", with("exp", now.Add(-time.Minute).Unix()), TokenExpired},
	} {
		t.Run(test.why, func(t *testing.T) {
			g := *f
			g.t = t
			g.want(g.token(test.changes), test.want)
		})
	}
	nameless := *client
	nameless.ID = ""
	f.key = &nameless
	f.want(f.token(good), TokenUntrusted) // the secret is found by its kid only
}

func TestRenewalOfAClientsTokenIsSignedWithItsSecret(t *testing.T) {
	f := newFixture(t, "ES256")
	f.issuer.Renew.After = 0
	client, err := NewSecretKey("partner-1", "HS256", secret)
	if err != nil {
		t.Fatal(err)
	}
	client.Client = "partner-1"
	f.issuer.Keys = NewClientKeys(NewStaticKeys([]*Key{f.key}), []*Key{client})
	f.build()
	f.key = client
	presented := f.token(map[string]any{"sub": "partner-1", "client_id": "partner-1"})
	renewed, result, err := f.renew(f.want(presented, OK), now)
	if err != nil || result != RenewMinted {
		t.Fatal(result, err)
	}
	header, payload, signature, _ := split(renewed, 1<<20)
	raw, err := encoding.DecodeString(signature)
	if err != nil || !client.verifySignature(header+"."+payload, raw) {
		t.Errorf("the client cannot verify %s", renewed)
	}
	if d := f.gate.Decide(f.policy, bearer(renewed), now); d.Reason != OK {
		t.Errorf("the renewed token is %s", d.Reason)
	}
}

// A kid that the issuer has is the issuer's, whatever its clients are called.
func TestClientKeysHideNoKey(t *testing.T) {
	own, client := keyFor(t, "k1", "ES256"), keyFor(t, "k1", "HS256")
	keys := NewClientKeys(NewStaticKeys([]*Key{own}), []*Key{client})
	if keys.Find("k1") != own || keys.Find("k2") != nil || len(keys.All()) != 1 || keys.Signer() != own {
		t.Error("a client's key stands before the issuer's")
	}
}

// Refresh tokens outlive access tokens: what ends a session is remembered as
// long as it could be refreshed.
func TestR09RevocationOutlivesRefreshing(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.SessionLife = 720 * time.Hour
	e, err := RevocationRequest{Kind: KindSession, ID: "s1"}.Entry([]*Issuer{f.issuer}, now)
	if err != nil || e.Until.Before(now.Add(720*time.Hour)) {
		t.Errorf("%v until %s", err, e.Until)
	}
	// A single token is not refreshed: its entry need not be kept for longer.
	e, err = RevocationRequest{Kind: KindToken, ID: "t1"}.Entry([]*Issuer{f.issuer}, now)
	if err != nil || e.Until.After(now.Add(25*time.Hour)) || e.Until.Before(now.Add(24*time.Hour)) {
		t.Errorf("a token: %v until %s", err, e.Until)
	}
}
