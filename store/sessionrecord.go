package store

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"gatehouse/auth/token"
)

// errSession is the error for a session that is there and cannot be read. It
// must not be taken for none: whoever has an old refresh token would not end it.
var errSession = fmt.Errorf("%w: it holds a session that cannot be read", ErrUnavailable)

// sessionRecord is what does not change in a session. Times are Unix
// milliseconds.
type sessionRecord struct {
	ID       string   `json:"id"`
	Issuer   string   `json:"issuer"`
	Subject  string   `json:"sub"`
	Username string   `json:"username,omitempty"`
	Source   string   `json:"source,omitempty"`
	ClientID string   `json:"client_id,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Claims   []byte   `json:"claims,omitempty"`
	AuthTime int64    `json:"auth_time"`
	Address  string   `json:"address,omitempty"`
}

// sessionState is what changes.
type sessionState struct {
	Family    hex32      `json:"family"`
	Current   hex32      `json:"current"`
	Refreshed int64      `json:"refreshed"`
	Expires   int64      `json:"expires"`
	Replayed  bool       `json:"replayed,omitempty"`
	Past      []rotation `json:"past,omitempty"` // oldest first
}

// rotation is one that is remembered.
type rotation struct {
	Presented hex32 `json:"presented"`
	Salt      hex32 `json:"salt"`
	Until     int64 `json:"until"`
}

// hex32 is written as hex.
type hex32 [32]byte

func (h hex32) String() string { return hex.EncodeToString(h[:]) }

// MarshalText never fails.
func (h hex32) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText fails unless there are 32 bytes.
func (h *hex32) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(h) {
		return errors.New("not 32 bytes in hex")
	}
	copy(h[:], b)
	return nil
}

func recordOf(s token.Session) sessionRecord {
	return sessionRecord{
		ID: s.ID, Issuer: s.Issuer, Subject: s.Subject, Username: s.Username, Source: s.Source, ClientID: s.ClientID,
		Scopes: s.Scopes, Claims: s.Claims, AuthTime: s.AuthTime.UnixMilli(), Address: s.Address,
	}
}

func encodeSession(s token.Session) ([]byte, error) { return json.Marshal(recordOf(s)) }

func stateOf(s token.Session, r token.RefreshHashes) sessionState {
	return sessionState{
		Family: r.Family, Current: r.Current, Refreshed: s.Refreshed.UnixMilli(), Expires: s.Expires.UnixMilli(),
	}
}

func sessionOf(r sessionRecord, s sessionState) token.Session {
	return token.Session{
		ID: r.ID, Issuer: r.Issuer, Subject: r.Subject, Username: r.Username, Source: r.Source, ClientID: r.ClientID,
		Scopes: r.Scopes, Claims: r.Claims, AuthTime: time.UnixMilli(r.AuthTime).UTC(), Address: r.Address,
		Refreshed: time.UnixMilli(s.Refreshed).UTC(), Expires: time.UnixMilli(s.Expires).UTC(),
		Refresh: token.RefreshHashes{Family: s.Family, Current: s.Current}, Replayed: s.Replayed,
	}
}

// parseSession reads the fields of sessionFields.
func parseSession(fields []string) (token.Session, error) {
	var r sessionRecord
	var s sessionState
	var err error
	failed := json.Unmarshal([]byte(fields[0]), &r) != nil || r.ID == "" ||
		s.Family.UnmarshalText([]byte(fields[1])) != nil || s.Current.UnmarshalText([]byte(fields[2])) != nil
	if s.Refreshed, err = strconv.ParseInt(fields[3], 10, 64); err != nil {
		failed = true
	}
	if s.Expires, err = strconv.ParseInt(fields[4], 10, 64); err != nil || failed {
		return token.Session{}, errSession
	}
	s.Replayed = fields[5] != ""
	return sessionOf(r, s), nil
}

// rotate is scriptRotateSession for a store that is not a Redis. The time is in
// Unix milliseconds.
func (s *sessionState) rotate(r token.Rotation, now int64) (result token.RotationResult, salt [32]byte) {
	switch {
	case now >= s.Expires || s.Family != r.Presented.Family:
		return token.RotationUnknown, salt
	case s.Replayed:
		return token.RotationReplayed, salt
	case s.Current == r.Next: // this rotation, once more
	case s.Current == r.Presented.Current:
		s.Past = slices.DeleteFunc(s.Past, func(p rotation) bool { return now >= p.Until })
		s.Past = append(s.Past, rotation{s.Current, r.Salt, now + r.Grace.Milliseconds()})
		s.Past = s.Past[max(0, len(s.Past)-maxRemembered):]
	default:
		for _, p := range s.Past {
			if p.Presented == r.Presented.Current && now < p.Until {
				return token.RotationRepeated, p.Salt
			}
		}
		s.Replayed = true
		return token.RotationReplayed, salt
	}
	s.Current, s.Refreshed, s.Expires = r.Next, now, r.Expires.UnixMilli()
	return token.Rotated, salt
}
