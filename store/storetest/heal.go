package storetest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/store"
)

// byKey is the entry as a replica remembers it that has forgotten the name.
func byKey(r auth.Revocation) auth.Revocation {
	return auth.Revocation{Kind: r.Kind, ByKey: r.Key(), Before: r.Before, Until: r.Until}
}

// restore writes entries back: they are in the list, covering what either
// covers, and followers are told those that are new.
func restore(t *testing.T, s *store.Store) {
	named, lost := near(s, "named"), byKey(near(s, "lost"))
	check(t, s.Revoke(t.Context(), named))
	from := Position(t, s)
	check(t, s.Sources()[0].Restore(t.Context(), nil))
	check(t, s.Sources()[0].Restore(t.Context(), []auth.Revocation{named, lost}))
	equal(t, Collect(t, s, from, 1), Collect(t, s, from, 0))
	equal(t, Collect(t, s, from, 1)[0].Revocation, lost)
	equal(t, Revocations(t, s), []auth.Revocation{lost, named})

	// Again it changes nothing, and is no news.
	from = Position(t, s)
	check(t, s.Sources()[0].Restore(t.Context(), []auth.Revocation{lost, named}))
	equal(t, len(Collect(t, s, from, 0)), 0)

	longer := lost
	longer.Until = lost.Until.Add(time.Minute)
	over := byKey(Session("over"))
	over.Until = time.Now().Add(-time.Second)
	check(t, s.Sources()[0].Restore(t.Context(), []auth.Revocation{over, longer, lost}))
	equal(t, Collect(t, s, from, 1)[0].Revocation, longer)
	equal(t, len(Collect(t, s, from, 0)), 1)
	equal(t, Revocations(t, s), []auth.Revocation{longer, named})

	// Revoked again by its name it is two entries here, of one key.
	again := near(s, "lost")
	check(t, s.Revoke(t.Context(), again))
	equal(t, Collect(t, s, from, 2)[1].Revocation.Key(), lost.Key())
	m := revocation.NewMirror(revocation.MirrorConfig{})
	for _, r := range Revocations(t, s) {
		m.Put(r, time.Now())
	}
	equal(t, m.Len()[auth.KindSession], 2)

	for name, change := range map[string]func(*auth.Revocation){
		"key and name":   func(r *auth.Revocation) { r.ID = "s" },
		"key and issuer": func(r *auth.Revocation) { r.Issuer = "main" },
		"neither":        func(r *auth.Revocation) { r.ByKey = auth.RevocationKey{} },
		"no such key":    func(r *auth.Revocation) { r.ByKey[15] |= 1 },
		"no kind":        func(r *auth.Revocation) { r.Kind = 0 },
	} {
		bad := lost
		change(&bad)
		if err := s.Sources()[0].Restore(t.Context(), []auth.Revocation{bad}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

// restoreAPIKey: an id that was revoked stays so, known by its key alone.
func restoreAPIKey(t *testing.T, s *store.Store) {
	r := auth.Revocation{Kind: auth.KindAPIKey, ID: "dead", Until: Second(time.Now().Add(time.Hour))}
	check(t, s.Sources()[0].Restore(t.Context(), []auth.Revocation{byKey(r)}))
	if err := s.PutAPIKey(t.Context(), auth.APIKey{ID: "dead"}); !errors.Is(err, auth.ErrAPIKeyRevoked) {
		t.Errorf("a key with a revoked id: %v", err)
	}
}

// Feed runs a feed of each shard until the function that it returns is called.
func Feed(t testing.TB, s *store.Store, log *slog.Logger) (m revocation.Mirrors, stop func()) {
	t.Helper()
	return feedAll(t, s, &auth.StoredAPIKeys{}, log)
}

func feedAll(t testing.TB, s *store.Store, keys *auth.StoredAPIKeys, log *slog.Logger) (m revocation.Mirrors, stop func()) {
	t.Helper()
	m, err := revocation.NewMirrors(len(s.Sources()), revocation.MirrorConfig{MaxStaleness: patience})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, len(m))
	for i, source := range s.Sources() {
		f, err := revocation.NewFeed(revocation.FeedConfig{Source: source, Mirror: m[i], Mirrors: m, Keys: keys, Log: log})
		check(t, err)
		go func() { ended <- f.Run(ctx) }()
		keys = &auth.StoredAPIKeys{} // the first has them
	}
	return m, func() {
		cancel()
		for range m {
			check(t, <-ended)
		}
	}
}
