package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"gatehouse/auth/token"
)

var (
	bucketLimits    = []byte("limits")     // key → count, end
	bucketLimitEnds = []byte("limit_ends") // end, key → nothing
)

var errLimit = fmt.Errorf("%w: it holds a login limit that cannot be read", ErrUnavailable)

// limitCount is a window under way. The end is in Unix milliseconds; the zero
// value is none.
type limitCount struct{ count, end int64 }

// readLimit returns the window that is under way, or one that begins now; and
// what is kept. A window that ends later than one which begins now was begun by
// a clock that was ahead, or was longer once: it ends with that one.
func readLimit(tx *bbolt.Tx, l token.Limit, now int64) (current, kept limitCount, err error) {
	next := now + l.Window.Milliseconds()
	switch v := tx.Bucket(bucketLimits).Get([]byte(l.Key)); {
	case v == nil:
	case len(v) != 16:
		return current, kept, errLimit
	default:
		kept = limitCount{int64(binary.BigEndian.Uint64(v)), int64(binary.BigEndian.Uint64(v[8:]))}
	}
	if now >= kept.end {
		return limitCount{end: next}, kept, nil
	}
	return limitCount{kept.count, min(kept.end, next)}, kept, nil
}

// writeLimit replaces a window that is kept. A count of 0 ends it, so that the
// next begins with its first attempt.
func writeLimit(tx *bbolt.Tx, key string, kept, c limitCount) error {
	counts, ends := tx.Bucket(bucketLimits), tx.Bucket(bucketLimitEnds)
	if err := ends.Delete(endKey(kept.end, key)); err != nil {
		return err
	}
	if c.count <= 0 {
		return counts.Delete([]byte(key))
	}
	value := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(c.count)), uint64(c.end))
	return errors.Join(counts.Put([]byte(key), value), ends.Put(endKey(c.end, key), nil))
}

// trimLimits takes out windows that were over at that time.
func trimLimits(tx *bbolt.Tx, over int64) error {
	counts, ends := tx.Bucket(bucketLimits), tx.Bucket(bucketLimitEnds)
	for _, k := range overdue(ends, endKey(over, "")) {
		if err := errors.Join(ends.Delete(k), counts.Delete(k[8:])); err != nil {
			return err
		}
	}
	return nil
}

// count adds to each of the limits, if allowed says so for all of them.
func (s *embedded) count(ctx context.Context, limits []token.Limit, add int64, allowed func(l token.Limit, c limitCount, now int64) bool) error {
	return s.update(ctx, func(tx *bbolt.Tx) error {
		now, all, shorter := time.Now().UnixMilli(), true, false
		for _, l := range limits {
			c, kept, err := readLimit(tx, l, now)
			if err != nil {
				return err
			}
			if c.count > 0 && c.end < kept.end {
				shorter = true
				if err := writeLimit(tx, l.Key, kept, c); err != nil {
					return err
				}
			}
			all = allowed(l, c, now) && all
		}
		if !all && !shorter {
			return errSame
		} else if !all {
			return nil
		}
		for _, l := range limits {
			c, kept, _ := readLimit(tx, l, now)
			c.count += add
			if err := writeLimit(tx, l.Key, kept, c); err != nil {
				return err
			}
		}
		return trimLimits(tx, now)
	})
}

func (s *embedded) Take(ctx context.Context, limits []token.Limit) (wait time.Duration, err error) {
	err = s.count(ctx, limits, 1, func(l token.Limit, c limitCount, now int64) bool {
		used := c.count >= int64(l.Max)
		if used {
			wait = max(wait, time.Duration(c.end-now)*time.Millisecond)
		}
		return !used
	})
	return wait, err
}

func (s *embedded) Return(ctx context.Context, limits []token.Limit) error {
	return s.count(ctx, limits, -1, func(token.Limit, limitCount, int64) bool { return true })
}
