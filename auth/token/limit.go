package token

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"

	"gatehouse/auth"
)

// limits are what a login counts against. A name is counted for each address by
// itself, so that nobody can lock its owner out from elsewhere.
func (e *Engine) limits(username string, address netip.Addr) []Limit {
	from := network(address)
	var all []Limit
	add := func(l Limit, parts ...string) {
		if l.Max > 0 {
			l.Key = digest(parts...)
			all = append(all, l)
		}
	}
	add(e.cfg.PerAccount, "account", from, username)
	add(e.cfg.PerAddress, "address", from)
	return all
}

// network is what counts as one address: who has an IPv6 address has all of its
// /64. Those without an address, on a Unix socket, count as one.
func network(a netip.Addr) string {
	a = a.Unmap()
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(a, bits).Masked().String()
}

// digest names something in the store or the log without telling what it is:
// hex SHA-256 over the parts, each with its length in front.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// take counts a login before anything is spent on it.
func (e *Engine) take(ctx context.Context, limits []Limit) error {
	if len(limits) == 0 {
		return nil
	}
	wait, err := e.cfg.Limiter.Take(ctx, limits)
	if err != nil {
		return down(ctx, auth.StoreUnavailable, err)
	}
	if wait > 0 {
		return &Error{Reason: auth.RateLimited, RetryAfter: wait}
	}
	return nil
}

// giveBack takes back a login that was no failed one. It does so for a client
// that has gone away too. That it is not taken back is no reason to refuse.
func (e *Engine) giveBack(ctx context.Context, limits []Limit) {
	if len(limits) == 0 {
		return
	}
	if err := e.cfg.Limiter.Return(context.WithoutCancel(ctx), limits); err != nil {
		e.cfg.Log.WarnContext(ctx, "a login still counts as a failed one", "error", err)
	}
}
