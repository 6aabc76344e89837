package introspection

import (
	"crypto/sha256"
	"time"
)

const (
	// inactiveFor is how long a token counts as not good without its issuer being
	// asked again: one that is used too early or copied too slowly there is wanted
	// soon.
	inactiveFor = 2 * time.Second
	// maxInactive is how many such tokens are remembered; twice as many may be.
	maxInactive = 4096
)

// inactive remembers tokens that are not good, by their SHA-256. Whoever makes up
// tokens fills it at will, so it is small, and is nobody else's memory: the older
// half goes when the newer is full.
type inactive struct {
	newer, older map[[sha256.Size]byte]time.Time // until when
}

func (i *inactive) add(token string, until time.Time) {
	if len(i.newer) >= maxInactive || i.newer == nil {
		i.newer, i.older = map[[sha256.Size]byte]time.Time{}, i.newer
	}
	i.newer[sha256.Sum256([]byte(token))] = until
}

func (i *inactive) has(token string, now time.Time) bool {
	sum := sha256.Sum256([]byte(token))
	return now.Before(i.newer[sum]) || now.Before(i.older[sum])
}
