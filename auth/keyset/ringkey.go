package keyset

import (
	"context"
	"fmt"
	"time"
)

// RingKeyState is where a key is on its way through a ring.
type RingKeyState string

// The states, in their order.
const (
	KeyPublished RingKeyState = "published" // it verifies, and will sign
	KeySigning   RingKeyState = "signing"
	KeyRetiring  RingKeyState = "retiring" // it verifies what it has signed
)

// RingKey is what people see of a key.
type RingKey struct {
	KID       string       `json:"kid"`
	Algorithm string       `json:"algorithm"`
	State     RingKeyState `json:"state"`
	Created   time.Time    `json:"created"`
	SignsFrom time.Time    `json:"signs_from"`
	RetiresAt time.Time    `json:"retires_at,omitzero"` // zero: it has no successor yet
}

// List returns the keys that are known, the oldest first.
func (r *Ring) List() []RingKey {
	records := r.set.Load().records
	signer := records.signer(r.cfg.Now())
	keys := make([]RingKey, 0, len(records))
	for i, record := range records {
		k := RingKey{
			KID: record.KID, Algorithm: record.Algorithm, Created: record.Created, SignsFrom: record.SignFrom,
			RetiresAt: records.retiresAt(i, r.cfg.RetireAfter),
		}
		switch {
		case i < signer:
			k.State = KeyRetiring
		case i == signer:
			k.State = KeySigning
		default:
			k.State = KeyPublished
		}
		keys = append(keys, k)
	}
	return keys
}

// Rotate publishes a new key now and returns it. After an error of the store it
// may be there all the same, which does no harm: List tells.
func (r *Ring) Rotate(ctx context.Context) (RingKey, error) {
	record, err := newRingRecord(r.cfg.Algorithm)
	if err != nil {
		return RingKey{}, err
	}
	err = r.change(ctx, func(records ringRecords, now time.Time) (ringRecords, error) {
		switch {
		case len(records) == 0: // if the store has lost its data, gateways will write it back
			return nil, fmt.Errorf("issuer %q has no signing key yet: a running gateway makes the first", r.cfg.Issuer)
		case records.index(record.KID) >= 0: // it was written, and the answer was lost
			return records, nil
		case len(records) >= maxRingKeys:
			return nil, fmt.Errorf("the ring has %d keys, which is all that it holds: the oldest retires at %s",
				len(records), records.retiresAt(0, r.cfg.RetireAfter).Format(time.RFC3339))
		}
		return r.publish(records, record, now), nil
	})
	if err != nil {
		return RingKey{}, err
	}
	keys := r.List()
	return keys[r.set.Load().records.index(record.KID)], nil
}
