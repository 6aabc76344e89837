package auth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Kind says what a [Revocation] names.
type Kind uint8

// The kinds of revocation.
const (
	KindToken   Kind = iota + 1 // `jti`: one token
	KindSession                 // `sid`: a session and all that was renewed or refreshed in it
	KindSubject                 // `sub`: all sessions of a subject begun up to a time
	KindClient                  // `client`: all sessions of a client_id or azp begun up to a time
	KindAPIKey                  // `api_key`: every key with this id
	KindIssuer                  // `issuer`: all sessions of an issuer begun up to a time

	kindCount
)

var kinds = [kindCount]struct {
	name   string
	scoped bool // the id belongs to an issuer
	timed  bool // what begins later is spared
}{
	KindToken:   {"jti", true, false},
	KindSession: {"sid", true, false},
	KindSubject: {"sub", true, true},
	KindClient:  {"client", true, true},
	KindAPIKey:  {"api_key", false, false},
	KindIssuer:  {"issuer", false, true},
}

// Kinds returns every kind there is.
func Kinds() []Kind {
	return []Kind{KindToken, KindSession, KindSubject, KindClient, KindAPIKey, KindIssuer}
}

// ParseKind returns the kind with that name; ok is false when there is none.
func ParseKind(name string) (k Kind, ok bool) {
	for _, k := range Kinds() {
		if kinds[k].name == name {
			return k, true
		}
	}
	return 0, false
}

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool { return k > 0 && k < kindCount }

// String returns the kind's name, as the API, the log and metrics show it.
func (k Kind) String() string {
	if !k.Valid() {
		return "unknown"
	}
	return kinds[k].name
}

// MarshalText writes the name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the name.
func (k *Kind) UnmarshalText(b []byte) error {
	parsed, ok := ParseKind(string(b))
	if !ok {
		return fmt.Errorf("unknown kind of revocation %q: want jti, sid, sub, client, api_key or issuer", b)
	}
	*k = parsed
	return nil
}

// Scoped reports whether an id of this kind belongs to an issuer.
func (k Kind) Scoped() bool { return kinds[k].scoped }

// Timed reports whether a revocation of this kind is meant up to a time: now,
// unless another is given.
func (k Kind) Timed() bool { return kinds[k].timed }

// Revocation is one entry of the revocation list.
type Revocation struct {
	Kind   Kind
	Issuer string // configured name of the issuer; empty where the kind is not scoped
	ID     string
	// ByKey is set for an entry whose names were lost with the store that had
	// them: a replica that remembered it knew its key alone. Issuer and ID are
	// empty then.
	ByKey RevocationKey
	// Before spares what began in a later second; zero spares nothing.
	Before time.Time
	// Until is when the entry can be forgotten, because nothing that it covers
	// can be valid any more. Never zero.
	Until time.Time
}

// RevocationKey names what a [Revocation] covers: the first 125 bits of a
// SHA-256 over kind, issuer and id, each with its length in front, so that no
// two of them can run into each other. The last three bits are 0, and room for
// the kind where entries are kept by the million.
type RevocationKey [16]byte

// Key returns the name under which the entry is looked up, whichever way it is
// known.
func (r Revocation) Key() RevocationKey {
	if r.ByKey != (RevocationKey{}) {
		return r.ByKey
	}
	return NewRevocationKey(r.Kind, r.Issuer, r.ID)
}

// NewRevocationKey returns the key for an id of an issuer (empty where the
// kind is not scoped).
func NewRevocationKey(kind Kind, issuer, id string) RevocationKey {
	b := make([]byte, 0, 128)
	b = append(b, byte(kind))
	for _, s := range []string{issuer, id} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	return RevocationKey(sum[:16]).masked()
}

func (k RevocationKey) masked() RevocationKey {
	k[len(k)-1] &^= 7
	return k
}

// Valid reports whether k can be the key of an entry.
func (k RevocationKey) Valid() bool { return k != RevocationKey{} && k == k.masked() }

// Always is the Before of an entry that spares nothing, in Unix seconds.
const Always = math.MaxUint32

// BeforeSeconds is Before in Unix seconds, [Always] when nothing is spared.
func (r Revocation) BeforeSeconds() uint32 {
	if r.Before.IsZero() {
		return Always
	}
	return clampSeconds(r.Before.Unix())
}

// UntilSeconds is Until in Unix seconds, rounded up.
func (r Revocation) UntilSeconds() uint32 {
	s := r.Until.Unix()
	if r.Until.Nanosecond() > 0 {
		s++
	}
	return clampSeconds(s)
}

func clampSeconds(s int64) uint32 {
	return uint32(min(max(s, 0), math.MaxUint32-1))
}

// Coverage says whether the revocation list covers something. The zero value
// denies.
type Coverage uint8

// The coverages.
const (
	Unsure     Coverage = iota // memory does not suffice: ask [RevocationList].Confirm
	NotCovered                 // it is not revoked
	Covered                    // it is
)

// RevocationList answers whether something was revoked.
// [gatehouse/auth/revocation.Mirror] is one.
type RevocationList interface {
	// Covers reports, from memory and without waiting, whether the list covers
	// what kind and key name, begun at that Unix second, by an entry that is
	// still in force at now (Unix seconds).
	Covers(kind Kind, key RevocationKey, begun, now int64) Coverage
	// Confirm is Covers, and asks the store where memory is unsure. The error
	// means that the store could not be had, or cannot be trusted for what it
	// does not have; the coverage is Unsure then. Of r only the names matter.
	Confirm(ctx context.Context, r Revocation, begun, now int64) (Coverage, error)
	// Stale reports whether the list is too old to be trusted for what it does
	// not contain.
	Stale(now time.Time) bool
}
