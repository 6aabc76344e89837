package store

import (
	"bytes"
	"context"
	"encoding/binary"

	"go.etcd.io/bbolt"
)

var bucketRings = []byte("keyrings") // issuer → version, data

func readRing(tx *bbolt.Tx, issuer string) (data []byte, version uint64, err error) {
	v := tx.Bucket(bucketRings).Get([]byte(issuer))
	if v == nil {
		return nil, 0, nil
	}
	if len(v) <= 8 {
		return nil, 0, errRing
	}
	return v[8:], binary.BigEndian.Uint64(v), nil
}

func (s *embedded) keyring(ctx context.Context, issuer string) (data []byte, version uint64, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		v, n, err := readRing(tx, issuer)
		data, version = bytes.Clone(v), n
		return err
	})
	return data, version, err
}

func (s *embedded) putKeyring(ctx context.Context, issuer string, data []byte, version uint64) error {
	conflict := false
	err := s.update(ctx, func(tx *bbolt.Tx) error {
		have, at, err := readRing(tx, issuer)
		if err != nil {
			return err
		}
		if at == version+1 && bytes.Equal(have, data) { // this put, once more
			return errSame
		}
		if conflict = at != version; conflict {
			return errSame
		}
		return tx.Bucket(bucketRings).Put([]byte(issuer), append(binary.BigEndian.AppendUint64(nil, version+1), data...))
	})
	if err == nil && conflict {
		return ErrConflict
	}
	return err
}
