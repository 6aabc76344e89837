package users

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"sync"
)

// maxShapes bounds how many kinds of hashes are told apart.
const maxShapes = 32

// shapes counts the kinds of hashes that users have, so that a name which nobody
// has can cost what a user's would. A name has the same kind each time that it
// is asked for, in every replica and after a restart, as a user's has.
type shapes struct {
	key [32]byte // of the choice; secret, and the same wherever the users are

	mu    sync.Mutex
	kinds []counted // in the order of their names, whatever order they came in
	total uint64
}

type counted struct {
	shape
	name string
	n    uint64
}

// mix makes the choice depend on a secret. It is for the time of construction.
func (s *shapes) mix(secret string) {
	s.key = sha256.Sum256(append(s.key[:], secret...))
}

// add counts one user with such a hash.
func (s *shapes) add(kind shape) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.kinds, func(c counted) bool { return c.shape == kind })
	switch {
	case i >= 0:
		s.kinds[i].n++
	case len(s.kinds) == maxShapes:
		return
	default:
		s.kinds = append(s.kinds, counted{kind, fmt.Sprint(kind), 1})
		slices.SortFunc(s.kinds, func(a, b counted) int { return strings.Compare(a.name, b.name) })
	}
	s.total++
}

// dummy returns the hash to verify for a name that nobody has: the kinds are
// as frequent among names as they are among users.
func (s *shapes) dummy(username string) PasswordHash {
	sum := sha256.Sum256(append(s.key[:], username...))
	s.mu.Lock()
	defer s.mu.Unlock()
	at, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:]), s.total) // of total users, this one
	for _, c := range s.kinds {
		if at < c.n {
			return c.dummy()
		}
		at -= c.n
	}
	return defaultShape.dummy()
}
