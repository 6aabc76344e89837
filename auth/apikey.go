package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// maxAPIKeyBytes bounds a presented key before it is hashed. Keys that we make
// have 51 bytes.
const maxAPIKeyBytes = 512

// APIKey is a credential of a client application. Only its hash is kept.
type APIKey struct {
	ID       string    // what logs, metrics, upstreams and revocations see; several keys may share it
	SHA256   [32]byte  // of the key's bytes
	NotAfter time.Time // zero: does not expire
	Routes   []string  // names of the routes it opens; nil: all
	Stored   bool      // made at run time and kept in the store, not in the config

	revocations []revocable // the one by which it is revoked
}

// prepare computes what requests need of the key.
func (k *APIKey) prepare() {
	for _, r := range k.names() {
		k.revocations = []revocable{{r.Kind, r.Key()}}
	}
}

// names are what the key is revoked by.
func (k *APIKey) names() []Revocation { return []Revocation{{Kind: KindAPIKey, ID: k.ID}} }

func (k *APIKey) expired(now time.Time) bool {
	return !k.NotAfter.IsZero() && !now.Before(k.NotAfter)
}

func (k *APIKey) opens(route string) bool {
	return k.Routes == nil || slices.Contains(k.Routes, route)
}

// ErrAPIKeyRevoked is why a key with a revoked id is not kept: it would be
// refused from its first request on.
var ErrAPIKeyRevoked = errors.New("this id has been revoked: choose another")

// ValidAPIKeyID reports whether an id will do: it becomes a log field, a header
// value and a part of URLs.
func ValidAPIKeyID(id string) bool {
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(id, func(r rune) bool {
		return !strings.ContainsRune("-._:@", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// WantAPIKeyID says what ValidAPIKeyID wants.
const WantAPIKeyID = "1 to 128 letters, digits and - . _ : @"

// APIKeys is the set of keys that are accepted: those of the config and those
// of the store. Reads take no lock.
type APIKeys struct {
	configured map[[32]byte]*APIKey
	stored     *StoredAPIKeys
}

// NewAPIKeys returns the set of the configured keys together with the stored
// ones, which may change later; stored may be nil. A configured key hides a
// stored one with the same hash.
func NewAPIKeys(configured []APIKey, stored *StoredAPIKeys) *APIKeys {
	s := &APIKeys{configured: make(map[[32]byte]*APIKey, len(configured)), stored: stored}
	for _, k := range configured {
		k.prepare()
		s.configured[k.SHA256] = &k
	}
	return s
}

// Find returns the key, nil when it is unknown. It does not look at expiry.
func (s *APIKeys) Find(presented string) *APIKey {
	if len(presented) == 0 || len(presented) > maxAPIKeyBytes {
		return nil
	}
	sum := sha256.Sum256([]byte(presented))
	k := s.find(sum)
	// The map has compared already; comparing again in constant time keeps the
	// match free of timing should the look-up ever compare less than all of it.
	if k == nil || subtle.ConstantTimeCompare(k.SHA256[:], sum[:]) != 1 {
		return nil
	}
	return k
}

func (s *APIKeys) find(sum [32]byte) *APIKey {
	k := s.configured[sum]
	if k == nil && s.stored != nil {
		k = s.stored.find(sum)
	}
	return k
}

// holds reports whether a key that was found before is still in the set.
func (s *APIKeys) holds(k *APIKey) bool { return s.find(k.SHA256) != nil }

// StoredAPIKeys are the keys made at run time, as the store's feed tells them.
// Its writer is the feed; any number may read.
type StoredAPIKeys struct {
	keys atomic.Pointer[map[[32]byte]*APIKey] // replaced as a whole
}

func (s *StoredAPIKeys) find(sum [32]byte) *APIKey {
	m := s.keys.Load()
	if m == nil {
		return nil
	}
	return (*m)[sum]
}

// All returns the stored keys in no particular order.
func (s *StoredAPIKeys) All() []APIKey {
	m := s.keys.Load()
	if m == nil {
		return nil
	}
	all := make([]APIKey, 0, len(*m))
	for _, k := range *m {
		all = append(all, *k)
	}
	return all
}

// Replace makes keys the whole set.
func (s *StoredAPIKeys) Replace(keys []APIKey) {
	m := make(map[[32]byte]*APIKey, len(keys))
	for _, k := range keys {
		k.Stored = true
		k.prepare()
		m[k.SHA256] = &k
	}
	s.keys.Store(&m)
}

// Put adds a key, or replaces the one with the same hash. Not safe for two
// callers at once.
func (s *StoredAPIKeys) Put(k APIKey) {
	s.Replace(append(s.without(k.SHA256), k))
}

// Delete removes the key with that hash. Not safe for two callers at once.
func (s *StoredAPIKeys) Delete(sum [32]byte) { s.Replace(s.without(sum)) }

func (s *StoredAPIKeys) without(sum [32]byte) []APIKey {
	return slices.DeleteFunc(s.All(), func(k APIKey) bool { return k.SHA256 == sum })
}
