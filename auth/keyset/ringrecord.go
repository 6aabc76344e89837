package keyset

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/auth"
)

// maxRingKeys keep a ring below the 64 KiB that a store takes.
const maxRingKeys = 32

// ringRecord is one key of a ring as it is stored. It never changes once it is
// written.
type ringRecord struct {
	KID       string    `json:"kid"`
	Algorithm string    `json:"alg"`
	Created   time.Time `json:"created"`
	SignFrom  time.Time `json:"sign_from"`
	Private   []byte    `json:"private"` // PKCS #8, or the secret itself

	key *auth.Key
}

// newRingRecord makes a key. It has no times yet.
func newRingRecord(alg string) (ringRecord, error) {
	private, err := makers[alg]()
	if err != nil {
		return ringRecord{}, fmt.Errorf("making a key for %s: %w", alg, err)
	}
	record := ringRecord{KID: rand.Text(), Algorithm: alg, Private: private}
	return record, record.parse()
}

// at returns the record with those times.
func (r ringRecord) at(created, signFrom time.Time) ringRecord {
	r.Created, r.SignFrom = created.UTC(), signFrom.UTC()
	return r
}

// parse makes the key of what is stored.
func (r *ringRecord) parse() (err error) {
	if strings.HasPrefix(r.Algorithm, "HS") {
		r.key, err = auth.NewSecretKey(r.KID, r.Algorithm, r.Private)
		return err
	}
	private, err := x509.ParsePKCS8PrivateKey(r.Private)
	if err != nil {
		return err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return fmt.Errorf("a private key of type %T cannot sign", private)
	}
	r.key, err = auth.NewSigningKey(r.KID, r.Algorithm, signer)
	return err
}

// ringRecords are the keys of a ring in the order in which they sign, which is
// the same on every replica.
type ringRecords []ringRecord

// ringDocument is a ring as it is stored, below the encryption.
type ringDocument struct {
	Keys ringRecords `json:"keys"`
}

func parseRing(text []byte) (ringRecords, error) {
	var document ringDocument
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields() // it would be lost when the ring is written again
	if err := d.Decode(&document); err != nil {
		return nil, err
	}
	if len(document.Keys) == 0 {
		return nil, errors.New("it has no key")
	}
	for i, record := range document.Keys {
		if err := document.Keys[i].parse(); err != nil {
			return nil, fmt.Errorf("kid %q: %w", record.KID, err)
		}
	}
	return document.Keys, nil
}

func (rs ringRecords) index(kid string) int {
	return slices.IndexFunc(rs, func(r ringRecord) bool { return r.KID == kid })
}

// and returns the records of both. What both have stays as it is in the first:
// whatever was verified with a key is forgotten with that key's value.
func (rs ringRecords) and(others ...ringRecord) ringRecords {
	union := slices.Clone(rs)
	for _, r := range others {
		if rs.index(r.KID) < 0 {
			union = append(union, r)
		}
	}
	slices.SortFunc(union, func(a, b ringRecord) int {
		return cmp.Or(a.SignFrom.Compare(b.SignFrom), strings.Compare(a.KID, b.KID))
	})
	return union
}

// signer is the index of the record that signs: the last whose time has come.
// Before any has, by a clock that is behind, it is the first.
func (rs ringRecords) signer(now time.Time) int {
	signer := 0
	for i, r := range rs {
		if !now.Before(r.SignFrom) {
			signer = i
		}
	}
	return signer
}

// retiresAt is when the i-th record is dropped, zero while it has no successor.
func (rs ringRecords) retiresAt(i int, after time.Duration) time.Time {
	if i+1 == len(rs) {
		return time.Time{}
	}
	return rs[i+1].SignFrom.Add(after)
}

// live are the records that are not to be dropped yet.
func (rs ringRecords) live(now time.Time, retireAfter time.Duration) ringRecords {
	retired := 0
	for retired+1 < len(rs) && !now.Before(rs.retiresAt(retired, retireAfter)) {
		retired++
	}
	return rs[retired:]
}
