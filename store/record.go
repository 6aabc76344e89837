package store

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/auth"
)

// An entry is kept under its name, which holds kind, issuer and id in clear,
// with the length of the issuer in front, so that no two entries share a name
// whatever stands in an id (`sid 4 main 8f1c`). One whose name was lost is kept
// under kind and key (`key sid 5f…`), the key in 32 hex
// digits, the last 0 or 8. Its value is its two times in Unix seconds (`4294967295 1790000000`);
// see [auth.Always].
//
// What cannot be read is an error and not passed over: a list that grows stale
// refuses requests, one with a hole lets them in.

func revocationName(r auth.Revocation) string {
	if r.ByKey != (auth.RevocationKey{}) {
		return "key " + r.Kind.String() + " " + hex.EncodeToString(r.ByKey[:])
	}
	return r.Kind.String() + " " + strconv.Itoa(len(r.Issuer)) + " " + r.Issuer + " " + r.ID
}

func revocationTimes(before, until uint32) string {
	return strconv.FormatUint(uint64(before), 10) + " " + strconv.FormatUint(uint64(until), 10)
}

func parseRevocation(name, times string) (auth.Revocation, error) {
	r, ok := parseName(name)
	if !ok {
		return r, errors.New("the store holds a revocation with a name that cannot be read")
	}
	b, u, _ := strings.Cut(times, " ")
	before, err1 := strconv.ParseUint(b, 10, 32)
	until, err2 := strconv.ParseUint(u, 10, 32)
	if err1 != nil || err2 != nil {
		return r, errors.New("the store holds a revocation with times that cannot be read")
	}
	setTimes(&r, uint32(before), uint32(until))
	return r, nil
}

func parseName(name string) (r auth.Revocation, ok bool) {
	kind, rest, _ := strings.Cut(name, " ")
	if kind == "key" {
		return parseByKey(name, rest)
	}
	length, rest, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(length)
	if r.Kind, ok = auth.ParseKind(kind); !ok || err != nil || n < 0 || n >= len(rest) || rest[n] != ' ' {
		return r, false
	}
	r.Issuer, r.ID = rest[:n], rest[n+1:]
	return r, r.ID != "" && revocationName(r) == name
}

func parseByKey(name, rest string) (r auth.Revocation, ok bool) {
	kind, digits, _ := strings.Cut(rest, " ")
	if r.Kind, ok = auth.ParseKind(kind); !ok || len(digits) != hex.EncodedLen(len(r.ByKey)) {
		return r, false
	}
	_, err := hex.Decode(r.ByKey[:], []byte(digits))
	return r, err == nil && r.ByKey.Valid() && revocationName(r) == name
}

func setTimes(r *auth.Revocation, before, until uint32) {
	if before != auth.Always {
		r.Before = time.Unix(int64(before), 0).UTC()
	}
	r.Until = time.Unix(int64(until), 0).UTC()
}

// keyRecord is what is kept of an API key, under its hash. Routes null and
// routes [] differ: all, and none.
type keyRecord struct {
	ID       string    `json:"id"`
	NotAfter time.Time `json:"not_after,omitzero"`
	Routes   []string  `json:"routes"`
}

// encodeKey fails when not_after is past the year 9999.
func encodeKey(k auth.APIKey) ([]byte, error) {
	return json.Marshal(keyRecord{k.ID, k.NotAfter.UTC(), k.Routes})
}

func parseKey(sum, record []byte) (auth.APIKey, error) {
	var k keyRecord
	out := auth.APIKey{Stored: true}
	if len(sum) != len(out.SHA256) || json.Unmarshal(record, &k) != nil || k.ID == "" {
		return out, errors.New("the store holds an API key that cannot be read")
	}
	copy(out.SHA256[:], sum)
	out.ID, out.NotAfter, out.Routes = k.ID, k.NotAfter, k.Routes
	return out, nil
}

func parseKeyHex(sum, record string) (auth.APIKey, error) {
	b, err := hex.DecodeString(sum)
	if err != nil {
		return auth.APIKey{}, fmt.Errorf("the store holds an API key whose hash cannot be read: %w", err)
	}
	return parseKey(b, []byte(record))
}
