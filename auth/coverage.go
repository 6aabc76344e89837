package auth

import "context"

// namedRevocation is an entry of the revocation list that would cover a
// credential.
type namedRevocation struct {
	kind       Kind
	key        RevocationKey
	issuer, id string
}

func newNamedRevocation(kind Kind, issuer, id string) namedRevocation {
	return namedRevocation{kind, NewRevocationKey(kind, issuer, id), issuer, id}
}

// covered returns the kind of the entry that covers a credential, 0 for none.
// One that is known to cover it comes before any that memory is unsure of; where
// there are only such, open is the question to the store.
func (g *Gate) covered(entries []namedRevocation, begun, now int64, k *known) (by Kind, open question) {
	unsure := false
	for i := range entries {
		e := &entries[i]
		switch k.covers(g.revocations, e, begun, now) {
		case Covered:
			return e.kind, nil
		case Unsure:
			unsure = true
		}
	}
	if unsure {
		open = g.confirm(entries, begun, now)
	}
	return 0, open
}

// covers asks the list, and where that is unsure, what was found out.
func (k *known) covers(list RevocationList, e *namedRevocation, begun, now int64) Coverage {
	c := list.Covers(e.kind, e.key, begun, now)
	if c == Unsure && k != nil {
		c = k.coverage[e.key]
	}
	return c
}

// confirm asks the store about all that memory is unsure of.
func (g *Gate) confirm(entries []namedRevocation, begun, now int64) question {
	return func(ctx context.Context, k *known) error {
		if k.coverage == nil {
			k.coverage = make(map[RevocationKey]Coverage, 1)
		}
		for i := range entries {
			e := &entries[i]
			if k.covers(g.revocations, e, begun, now) != Unsure {
				continue
			}
			c, err := g.revocations.Confirm(ctx, Revocation{Kind: e.kind, Issuer: e.issuer, ID: e.id}, begun, now)
			if err != nil {
				return err
			}
			k.coverage[e.key] = c
		}
		return nil
	}
}
