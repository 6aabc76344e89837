package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"gatehouse/store"
)

func keyrings(t *testing.T, s *store.Store) {
	put := func(issuer, data string, version uint64, want error) {
		t.Helper()
		if err := s.PutKeyring(t.Context(), issuer, []byte(data), version); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Fatalf("version %d: got %v, want %v", version, err, want)
		}
	}
	is := func(issuer, data string, version uint64) {
		t.Helper()
		got, at, err := s.Keyring(t.Context(), issuer)
		check(t, err)
		if string(got) != data || at != version || (got == nil) != (version == 0) {
			t.Fatalf("%d bytes of version %d, want %d of %d", len(got), at, len(data), version)
		}
	}
	largest := strings.Repeat("\x00\xff", 32<<10)
	is("main", "", 0)
	put("main", "early", 1, store.ErrConflict)
	put("main", "first", 0, nil)
	put("main", "another", 0, store.ErrConflict)
	is("main", "first", 1)
	put("main", largest, 1, nil)
	put("main", largest, 1, nil) // a reply that was lost
	is("main", largest, 2)
	put("main", "first", 1, store.ErrConflict)
	put("main", "first", 0, store.ErrConflict)
	put("main", "late", 3, store.ErrConflict)
	put("main", "third", 2, nil)
	is("main", "third", 3)
	is("{other}\n", "", 0)
	put("{other}\n", "its first", 0, nil)
	is("main", "third", 3)

	put("", "x", 0, store.ErrInvalid)
	put(strings.Repeat("x", 2000), "x", 0, store.ErrInvalid)
	put("main", "", 3, store.ErrInvalid)
	put("main", largest+"x", 3, store.ErrInvalid)
	put("main", "x", math.MaxUint64, store.ErrInvalid)
	if _, _, err := s.Keyring(t.Context(), ""); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	is("main", "third", 3)
}

// keyringParallel: of all that replace one version, one does.
func keyringParallel(t *testing.T, s *store.Store) {
	for version := range uint64(3) {
		var errs [parallel]error
		atOnce(t, func(i int) error {
			errs[i] = s.PutKeyring(t.Context(), "main", fmt.Append(nil, i), version)
			return nil
		})
		data, at, err := s.Keyring(t.Context(), "main")
		check(t, err)
		equal(t, at, version+1)
		for i, err := range errs {
			if won := fmt.Sprint(i) == string(data); won != (err == nil) || !won && !errors.Is(err, store.ErrConflict) {
				t.Errorf("%d of %d: %v; the ring is %s", i, parallel, err, data)
			}
		}
	}
}
