package gateway

import (
	"testing"
	"time"

	"gatehouse/admin"
	"gatehouse/auth"
	"gatehouse/config"
)

type lostKeys struct{ *auth.StaticKeys }

func (lostKeys) Ready() bool { return false }

func TestKeysPart(t *testing.T) {
	had := auth.NewStaticKeys(nil)
	lost := lostKeys{had}
	for _, c := range []struct {
		keys   []auth.Keys
		state  admin.State
		detail string
	}{
		{nil, admin.StateOK, ""}, // API keys alone need none
		{[]auth.Keys{had}, admin.StateOK, ""},
		{[]auth.Keys{lost, had, lost}, admin.StateDegraded, "keys cannot be had of issuer a, c"},
		{[]auth.Keys{lost}, admin.StateFailing, "keys cannot be had of issuer a"},
	} {
		var issuers []*auth.Issuer
		for i, k := range c.keys {
			issuers = append(issuers, &auth.Issuer{Name: string(rune('a' + i)), Keys: k})
		}
		if p := keys(issuers); p.State != c.state || p.Detail != c.detail {
			t.Errorf("%v: %s %q, want %s %q", c.keys, p.State, p.Detail, c.state, c.detail)
		}
	}
}

// An old list is shown whatever it makes the gateway answer.
func TestRevocationsPart(t *testing.T) {
	now := time.Now()
	for _, whenStale := range []string{"deny", "allow"} {
		g := &Gateway{list: oneShard(t)}
		cfg := &config.Config{Revocation: config.Revocation{MaxStaleness: config.Duration(5 * time.Second), WhenStale: whenStale}}
		g.list.set(cfg.Revocation)
		g.snapshot.Store(&snapshot{config: cfg})
		i := (*instance)(g)
		if p := i.revocations(now); p.State != admin.StateFailing {
			t.Errorf("%s, never read: %s", whenStale, p.State)
		}
		g.list.Current(now)
		for age, want := range map[time.Duration]admin.State{5 * time.Second: admin.StateOK, 5001 * time.Millisecond: admin.StateDegraded} {
			if p := i.revocations(now.Add(age)); p.State != want {
				t.Errorf("%s, %s old: %s, want %s", whenStale, age, p.State, want)
			}
		}
	}
}
