package storetest

import (
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/store"
)

// confirm asks about single entries: those that are there come with their times,
// under whichever of their names they are kept.
func confirm(t *testing.T, s *store.Store) {
	named, asLost, both, other := near(s, "named"), near(s, "lost"), near(s, "both"), near(s, "other")
	lost := byKey(asLost)
	longer := byKey(both)
	longer.Until = both.Until.Add(time.Hour)
	subject := auth.Revocation{Kind: auth.KindSubject, Issuer: "main", ID: "alice", Before: Second(time.Now()), Until: named.Until}
	for revocation.ShardOf(subject.Key(), len(s.Sources())) != 0 {
		subject.ID += "!"
	}
	for _, r := range []auth.Revocation{named, both, subject} {
		check(t, s.Revoke(t.Context(), r))
	}
	check(t, s.Sources()[0].Restore(t.Context(), []auth.Revocation{lost, longer}))
	since := Position(t, s)
	for name, c := range map[string]struct{ asked, want []auth.Revocation }{
		"nothing":        {},
		"not there":      {asked: []auth.Revocation{other}},
		"another kind":   {asked: []auth.Revocation{{Kind: auth.KindToken, Issuer: "main", ID: named.ID}}},
		"another issuer": {asked: []auth.Revocation{{Kind: auth.KindSession, Issuer: "mai", ID: "n " + named.ID}}},
		"by its name":    {asked: []auth.Revocation{named}, want: []auth.Revocation{named}},
		"by its key":     {asked: []auth.Revocation{asLost}, want: []auth.Revocation{lost}},
		"by both":        {asked: []auth.Revocation{both}, want: []auth.Revocation{both, longer}},
		"a timed one":    {asked: []auth.Revocation{subject}, want: []auth.Revocation{subject}},
		"several":        {asked: []auth.Revocation{asLost, other, subject}, want: []auth.Revocation{lost, subject}},
	} {
		there, whole, err := s.Sources()[0].Confirm(t.Context(), since, c.asked...)
		check(t, err)
		if !whole {
			t.Errorf("%s: the store is said to have lost something", name)
		}
		equal(t, there, c.want)
	}
}
