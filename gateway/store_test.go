package gateway

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/store"
)

// To look at a store that nobody has made does not make it.
func TestReadStoreMakesNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	log := slog.New(slog.DiscardHandler)
	for _, url := range []string{"memory:", "file:" + file} {
		cfg := parse(t, "store: {url: \""+url+"\"}\n")
		if err := ReadStore(t.Context(), cfg, log, func(*store.Store) error { t.Error("read " + url); return nil }); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the file was made")
	}
}

// A decision that is explained sees the list and the keys of the store.
func TestReadList(t *testing.T) {
	cfg := parse(t, "store: {url: file:gatehouse.db}\n")
	log, now := slog.New(slog.DiscardHandler), time.Now()
	st, err := OpenStore(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Revoke(t.Context(), auth.Revocation{Kind: auth.KindSession, Issuer: "main", ID: "s", Until: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if err := st.PutAPIKey(t.Context(), auth.APIKey{ID: "app"}); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	p := apart(cfg, log)
	if err := readList(t.Context(), cfg, p, now, log); err != nil {
		t.Fatal(err)
	}
	if p.list.Covers(auth.KindSession, auth.NewRevocationKey(auth.KindSession, "main", "s"), 0, now.Unix()) != auth.Covered || p.list.Stale(now) {
		t.Error("the list was not read whole")
	}
	if keys := p.stored.All(); len(keys) != 1 || keys[0].ID != "app" {
		t.Errorf("keys: %v", keys)
	}
}
