package auth

import "context"

// revocable is an entry of the revocation list that would cover a credential.
type revocable struct {
	kind Kind
	key  RevocationKey
}

// named is a credential that knows what it may have been revoked by.
type named interface{ names() []Revocation }

// covered returns the kind of the entry that covers a credential, 0 for none.
// One that is known to cover it comes before any that memory is unsure of; where
// there are only such, open is the question to the store.
func (g *Gate) covered(credential named, entries []revocable, begun, now int64, k *known) (by Kind, open question) {
	unsure := false
	for _, e := range entries {
		switch k.covers(g.revocations, e, begun, now) {
		case Covered:
			return e.kind, nil
		case Unsure:
			unsure = true
		}
	}
	if unsure {
		open = g.confirm(credential.names(), begun, now)
	}
	return 0, open
}

// covers asks the list, and where that is unsure, what was found out.
func (k *known) covers(list RevocationList, e revocable, begun, now int64) Coverage {
	c := list.Covers(e.kind, e.key, begun, now)
	if c == Unsure && k != nil {
		c = k.coverage[e.key]
	}
	return c
}

// confirm asks the store about all that memory is unsure of.
func (g *Gate) confirm(names []Revocation, begun, now int64) question {
	return func(ctx context.Context, k *known) error {
		if k.coverage == nil {
			k.coverage = make(map[RevocationKey]Coverage, 1)
		}
		for _, r := range names {
			e := revocable{r.Kind, r.Key()}
			if k.covers(g.revocations, e, begun, now) != Unsure {
				continue
			}
			c, err := g.revocations.Confirm(ctx, r, begun, now)
			if err != nil {
				return err
			}
			k.coverage[e.key] = c
		}
		return nil
	}
}
