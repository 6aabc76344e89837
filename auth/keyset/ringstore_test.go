package keyset

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errDown     = errors.New("the store is down")
	errConflict = errors.New("another was first")
)

// ringStore is a store for tests that compares and swaps.
type ringStore struct {
	mu      sync.Mutex
	data    map[string][]byte
	version map[string]uint64
	down    bool
	asked   func() // called by each read
	// write says what comes of a put that would succeed: whether it is done, and
	// what is answered. nil: done and answered.
	write func() (done bool, answer error)
	puts  int // that were done
}

func newRingStore() *ringStore {
	return &ringStore{data: map[string][]byte{}, version: map[string]uint64{}}
}

func (s *ringStore) Keyring(_ context.Context, issuer string) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != nil {
		s.asked()
	}
	if s.down {
		return nil, 0, errDown
	}
	return bytes.Clone(s.data[issuer]), s.version[issuer], nil
}

func (s *ringStore) PutKeyring(_ context.Context, issuer string, data []byte, version uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down:
		return errDown
	case version != s.version[issuer]:
		return errConflict
	}
	done, answer := true, error(nil)
	if s.write != nil {
		done, answer = s.write()
	}
	if done {
		s.data[issuer], s.version[issuer] = bytes.Clone(data), version+1
		s.puts++
	}
	return answer
}

func (s *ringStore) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *ringStore) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.data)
	clear(s.version)
}

// writes is how often it was written.
func (s *ringStore) writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts
}

// put stores bytes as they are.
func (s *ringStore) put(issuer string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data[issuer], s.version[issuer] = bytes.Clone(data), s.version[issuer]+1
}

func (s *ringStore) raw(issuer string) ([]byte, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.data[issuer]), s.version[issuer]
}

var encryptionKey = bytes.Repeat([]byte{1, 2, 3, 4}, 8)

// times of the rings of these tests.
const (
	poll        = 5 * time.Second
	publishFor  = 2 * time.Minute
	tokenLife   = time.Hour
	leeway      = 10 * time.Second
	retireAfter = tokenLife + 2*leeway
	rotateEvery = 3 * time.Hour
)

func ringConfig(store RingStore) RingConfig {
	return RingConfig{
		Issuer: "main", Algorithm: "ES256", EncryptionKey: encryptionKey,
		PublishFor: publishFor, RetireAfter: retireAfter, Poll: poll,
		Store: store, Log: slog.New(slog.DiscardHandler),
	}
}

func newRing(t testing.TB, cfg RingConfig) *Ring {
	t.Helper()
	r, err := NewRing(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// runRing runs a ring that knows those records until the returned function ends
// it, at the latest with the test.
func runRing(t *testing.T, cfg RingConfig, known ...ringRecord) (r *Ring, end func()) {
	t.Helper()
	r = newRing(t, cfg)
	r.adopt(known)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(end)
	return r, end
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// kids are those of the keys that a ring knows.
func kids(r *Ring) []string {
	all := []string{}
	for _, k := range r.All() {
		all = append(all, k.ID)
	}
	return all
}

// states are those of the keys that a ring knows, the oldest first.
func states(r *Ring) []RingKeyState {
	all := []RingKeyState{}
	for _, k := range r.List() {
		all = append(all, k.State)
	}
	return all
}

// stored are the keys that the store has.
func stored(t testing.TB, s *ringStore) ringRecords {
	t.Helper()
	data, version := s.raw("main")
	if version == 0 {
		return nil
	}
	records, err := newRing(t, ringConfig(s)).unseal(data)
	if err != nil {
		t.Fatal(err)
	}
	return records
}
