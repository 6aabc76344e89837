// Package storetest is what every store must do, and the servers that its
// tests need.
package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/store"
)

// patience bounds every wait; a test that reaches it has failed.
const patience = 10 * time.Second

// Run runs the contract on stores that open returns, each empty and closed by
// whoever opened it.
func Run(t *testing.T, open func(*testing.T) *store.Store) {
	for name, test := range map[string]func(*testing.T, *store.Store){
		"empty":             empty,
		"revoke":            revoke,
		"merge":             merge,
		"invalid":           invalid,
		"R18 collisions":    collisions,
		"API keys":          apiKeys,
		"follow":            follow,
		"follow from":       followFrom,
		"follow concurrent": followConcurrent,
		"gap":               gap,
		"yield error":       yieldError,
		"feed":              feed,
		"restore":           restore,
		"restore API keys":  restoreAPIKey,
		"confirm":           confirm,

		"sessions":         sessions,
		"session list":     sessionList,
		"session invalid":  sessionInvalid,
		"R10 session over": sessionOver,

		"R01 R03 parallel rotations": rotationParallel,
		"R02 replay":                 rotationReplayed,
		"R03 remembered":             rotationRemembered,
		"R04 rotation again":         rotationAgain,
		"R06 unknown":                rotationUnknown,
		"rotation keeps":             rotationKeeps,

		"A03 limits":          limits,
		"A03 invalid limits":  limitsInvalid,
		"A03 parallel limits": limitsParallel,
		"A03 shorter limits":  limitsShorter,

		"key rings":          keyrings,
		"parallel key rings": keyringParallel,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Second is a time that stores keep as it is: whole seconds, in UTC.
func Second(t time.Time) time.Time { return t.Truncate(time.Second).UTC() }

// Session returns an entry of kind sid that ends in an hour.
func Session(id string) auth.Revocation {
	return auth.Revocation{Kind: auth.KindSession, Issuer: "main", ID: id, Until: Second(time.Now().Add(time.Hour))}
}

// near returns an entry of kind sid that is in the first shard, in whose log
// the API keys are too. With one shard its id is as it was asked for.
func near(s *store.Store, id string) auth.Revocation {
	for {
		if r := Session(id); revocation.ShardOf(r.Key(), len(s.Sources())) == 0 {
			return r
		}
		id += "'"
	}
}

// Revocations returns the list, sorted.
func Revocations(t testing.TB, s *store.Store) []auth.Revocation {
	t.Helper()
	var list []auth.Revocation
	check(t, s.Revocations(t.Context(), func(r auth.Revocation) error { list = append(list, r); return nil }))
	slices.SortFunc(list, func(a, b auth.Revocation) int {
		return strings.Compare(fmt.Sprint(a.Kind, a.Issuer, a.ID), fmt.Sprint(b.Kind, b.Issuer, b.ID))
	})
	return list
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t testing.TB, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func empty(t *testing.T, s *store.Store) {
	check(t, s.Ping(t.Context()))
	equal(t, len(Revocations(t, s)), 0)
	keys, err := s.APIKeys(t.Context())
	check(t, err)
	equal(t, len(keys), 0)
	at, err := s.Sources()[0].Snapshot(t.Context(), func(e revocation.Event) error { return fmt.Errorf("an event: %+v", e) })
	check(t, err)
	if at == "" {
		t.Fatal("no position to follow an empty store from")
	}
}

func revoke(t *testing.T, s *store.Store) {
	until, before := Second(time.Now().Add(time.Hour)), Second(time.Now().Add(-time.Minute))
	want := []auth.Revocation{
		{Kind: auth.KindAPIKey, ID: "web-app", Until: until},
		{Kind: auth.KindClient, Issuer: "main", ID: "client", Before: before, Until: until},
		{Kind: auth.KindIssuer, ID: "main", Before: before, Until: until},
		{Kind: auth.KindToken, Issuer: "main", ID: "jti", Until: until},
		{Kind: auth.KindSession, Issuer: "main", ID: "a b\x00c/é\xff\n4 main", Until: until},
		{Kind: auth.KindSubject, Issuer: "main", ID: "alice", Before: before, Until: until},
		{Kind: auth.KindSubject, Issuer: "other", ID: strings.Repeat("x", 16<<10), Until: until},
	}
	for _, r := range want {
		check(t, s.Revoke(t.Context(), r))
	}
	equal(t, Revocations(t, s), want)
}

func merge(t *testing.T, s *store.Store) {
	now := Second(time.Now())
	at := func(before, until time.Duration) auth.Revocation {
		return auth.Revocation{Kind: auth.KindSubject, Issuer: "main", ID: "alice", Before: now.Add(before), Until: now.Add(until)}
	}
	check(t, s.Revoke(t.Context(), at(-time.Minute, time.Hour)))
	check(t, s.Revoke(t.Context(), at(-time.Second, time.Minute)))
	equal(t, Revocations(t, s), []auth.Revocation{at(-time.Second, time.Hour)})
	check(t, s.Revoke(t.Context(), at(-time.Hour, 2*time.Hour)))
	equal(t, Revocations(t, s), []auth.Revocation{at(-time.Second, 2*time.Hour)})

	always := at(0, time.Minute)
	always.Before = time.Time{}
	check(t, s.Revoke(t.Context(), always))
	always.Until = now.Add(2 * time.Hour)
	equal(t, Revocations(t, s), []auth.Revocation{always})
}

func invalid(t *testing.T, s *store.Store) {
	for name, change := range map[string]func(*auth.Revocation){
		"no kind":                  func(r *auth.Revocation) { r.Kind = 0 },
		"unknown kind":             func(r *auth.Revocation) { r.Kind = 200 },
		"no id":                    func(r *auth.Revocation) { r.ID = "" },
		"id too long":              func(r *auth.Revocation) { r.ID = strings.Repeat("x", 16<<10+1) },
		"no issuer":                func(r *auth.Revocation) { r.Issuer = "" },
		"issuer with an API key":   func(r *auth.Revocation) { r.Kind = auth.KindAPIKey },
		"R10 no end":               func(r *auth.Revocation) { r.Until = time.Time{} },
		"R10 over":                 func(r *auth.Revocation) { r.Until = time.Now() },
		"R10 negative":             func(r *auth.Revocation) { r.Until = time.Now().Add(-time.Hour) },
		"J13 beyond what is kept":  func(r *auth.Revocation) { r.Until = time.Now().Add(auth.MaxRevocationTTL + time.Hour) },
		"J13 far beyond any clock": func(r *auth.Revocation) { r.Until = time.Unix(1<<62, 0) },
	} {
		r := Session("s")
		change(&r)
		if err := s.Revoke(t.Context(), r); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	for name, k := range map[string]auth.APIKey{
		"no id":         {},
		"id too long":   {ID: strings.Repeat("x", 2000)},
		"opens nothing": {ID: "x", Routes: []string{}},
		"empty route":   {ID: "x", Routes: []string{""}},
		"no such year":  {ID: "x", NotAfter: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if err := s.PutAPIKey(t.Context(), k); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("API key: %s: got %v, want ErrInvalid", name, err)
		}
	}
	equal(t, len(Revocations(t, s)), 0)

	longest := Session("s")
	longest.Until = time.Now().Add(auth.MaxRevocationTTL + time.Second)
	check(t, s.Revoke(t.Context(), longest))
	equal(t, len(Revocations(t, s)), 1)
}

// collisions are pairs whose parts, written one after the other, are the same.
func collisions(t *testing.T, s *store.Store) {
	list := []auth.Revocation{
		{Issuer: "a", ID: "b c"},
		{Issuer: "a b", ID: "c"},
		{Issuer: "a b c", ID: "1"},
		{Issuer: "a", ID: "b"},
		{Issuer: "1 a", ID: "b"},
		{Issuer: "1", ID: "a b"},
		{Issuer: "1", ID: "1 a"},
		{Issuer: "1 1", ID: "a"},
	}
	for _, r := range list {
		r.Kind, r.Until = auth.KindToken, Second(time.Now().Add(time.Hour))
		check(t, s.Revoke(t.Context(), r))
	}
	got := Revocations(t, s)
	equal(t, len(got), len(list))
	for _, g := range got {
		if !slices.ContainsFunc(list, func(r auth.Revocation) bool { return r.Issuer == g.Issuer && r.ID == g.ID }) {
			t.Errorf("came back changed: %+v", g)
		}
	}
}

func apiKeys(t *testing.T, s *store.Store) {
	list := func() []auth.APIKey {
		keys, err := s.APIKeys(t.Context())
		check(t, err)
		slices.SortFunc(keys, func(a, b auth.APIKey) int { return slices.Compare(a.SHA256[:], b.SHA256[:]) })
		return keys
	}
	check(t, s.Revoke(t.Context(), Session("beside the keys")))
	a := auth.APIKey{ID: "app", SHA256: [32]byte{1}, Stored: true}
	b := auth.APIKey{ID: "app", SHA256: [32]byte{2}, NotAfter: Second(time.Now()), Routes: []string{"orders", "ö, x"}, Stored: true}
	check(t, s.PutAPIKey(t.Context(), a))
	check(t, s.PutAPIKey(t.Context(), b))
	equal(t, list(), []auth.APIKey{a, b})
	a.NotAfter = Second(time.Now().Add(time.Hour))
	check(t, s.PutAPIKey(t.Context(), a))
	equal(t, list(), []auth.APIKey{a, b})
	check(t, s.DeleteAPIKey(t.Context(), b.SHA256))
	check(t, s.DeleteAPIKey(t.Context(), b.SHA256))
	check(t, s.DeleteAPIKey(t.Context(), [32]byte{9}))
	equal(t, list(), []auth.APIKey{a})
	// Another key with an id that was revoked would be dead from the start.
	check(t, s.Revoke(t.Context(), auth.Revocation{Kind: auth.KindAPIKey, ID: "dead", Until: time.Now().Add(time.Hour)}))
	if err := s.PutAPIKey(t.Context(), auth.APIKey{ID: "dead", SHA256: [32]byte{9}}); !errors.Is(err, auth.ErrAPIKeyRevoked) || !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a key with a revoked id: %v", err)
	}
}
