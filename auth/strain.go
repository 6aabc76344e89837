package auth

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// A signature on P-384 or P-521, or by a long RSA key, takes up to a dozen times as
// long to check as all else that a request needs, and whoever makes one up pays
// nothing. One client may have so many of them checked for nothing.
const (
	strainRate  = 32 // a second
	strainBurst = 256
)

// strain counts, for each client, the costly signatures that were checked for
// tokens which are not good. Who had too many is told so, unchecked, until time has
// passed; what is remembered, and keys that cost less, are not concerned. Clients
// that come by one address are one client, and a few thousand of them share a slot
// with another: strangers that flood cost themselves their patience, and not the
// rest of the world its logins. Nil counts nothing.
type strain struct {
	seed maphash.Seed
	over [4096]atomic.Int64 // by client: Unix nanoseconds at which nothing will be left of it
}

func newStrain() *strain { return &strain{seed: maphash.MakeSeed()} }

// of is the client's slot: that of an IPv4 address, or of a network of IPv6
// addresses (/64, which whoever has one address mostly has).
func (s *strain) of(client netip.Addr) *atomic.Int64 {
	client = client.Unmap()
	if client.Is6() {
		p, _ := client.Prefix(64) // drops the zone; no other error is possible
		client = p.Addr()
	}
	return &s.over[maphash.Comparable(s.seed, client)%uint64(len(s.over))]
}

// tooMuch reports whether the client has had all that it may have.
func (s *strain) tooMuch(client netip.Addr, now time.Time) bool {
	return s != nil && s.of(client).Load()-now.UnixNano() > int64((strainBurst-1)*time.Second/strainRate)
}

// add counts n signatures.
func (s *strain) add(client netip.Addr, n int, now time.Time) {
	if s == nil {
		return
	}
	slot := s.of(client)
	for {
		old := slot.Load()
		if slot.CompareAndSwap(old, max(old, now.UnixNano())+int64(n)*int64(time.Second/strainRate)) {
			return
		}
	}
}
