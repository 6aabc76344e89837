package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"gatehouse/auth/token"
)

const (
	// maxRecordBytes bounds a session as it is kept, and a key ring.
	maxRecordBytes = 64 << 10
	// maxListed bounds how many sessions of a subject are listed.
	maxListed = 1000
	// maxRemembered bounds how many rotations of a session can be asked for
	// again within the grace.
	maxRemembered = 16
)

var (
	_ token.Sessions     = (*Store)(nil)
	_ token.SessionEnder = (*Store)(nil)
)

// PutSession adds a session, or replaces the one with its id. Times are kept in
// milliseconds. The error carries ErrInvalid or ErrUnavailable.
func (s *Store) PutSession(ctx context.Context, session token.Session, r token.RefreshHashes) error {
	if err := validateSession(session, r, time.Now()); err != nil {
		return err
	}
	return s.observed("session_put", func() error { return s.backend.PutSession(ctx, session, r) })
}

func validateSession(s token.Session, r token.RefreshHashes, now time.Time) error {
	shard, ok := token.SessionShard(s.ID)
	texts := append([]string{s.Issuer, s.Subject, s.Username, s.Source, s.ClientID, s.Address}, s.Scopes...)
	switch {
	case s.Issuer == "" || len(s.Issuer) > maxNameBytes:
		return fmt.Errorf("%w: the name of a session's issuer must have 1 to %d bytes", ErrInvalid, maxNameBytes)
	case s.Subject == "" || len(s.Subject) > maxIDBytes:
		return fmt.Errorf("%w: the subject of a session must have 1 to %d bytes", ErrInvalid, maxIDBytes)
	case !ok || shard != token.SubjectHash(s.Issuer, s.Subject)[0]:
		return fmt.Errorf("%w: the id of the session was not made for its subject", ErrInvalid)
	case slices.ContainsFunc(texts, func(t string) bool { return !utf8.ValidString(t) }):
		return fmt.Errorf("%w: the session holds text that is not UTF-8", ErrInvalid)
	case (r.Family == [32]byte{}) != (r.Current == [32]byte{}):
		return fmt.Errorf("%w: the session has half a refresh token", ErrInvalid)
	}
	if record, err := encodeSession(s); err != nil || len(record) > maxRecordBytes {
		return fmt.Errorf("%w: the session has %d bytes, the most is %d; its user has too many claims", ErrInvalid, len(record), maxRecordBytes)
	}
	return validateEnd(s.Expires, now)
}

// Session returns a session that is not over by the store's clock; also one that
// was replayed. The error carries token.ErrNoSession or ErrUnavailable.
func (s *Store) Session(ctx context.Context, id string) (token.Session, error) {
	if _, ok := token.SessionShard(id); !ok {
		return token.Session{}, token.ErrNoSession
	}
	var session token.Session
	err := s.observed("session", func() (err error) {
		session, err = s.backend.Session(ctx, id)
		return whole(err, session.ID == id)
	})
	return session, err
}

// RotateSession decides about a refresh token: see [token.Sessions]. The same
// rotation once more has the result of the first, also without a grace. The
// error carries ErrInvalid or ErrUnavailable.
func (s *Store) RotateSession(ctx context.Context, id string, r token.Rotation) (result token.RotationResult, salt [32]byte, err error) {
	none := [32]byte{}
	switch {
	case r.Presented.Family == none || r.Presented.Current == none || r.Next == none || r.Next == r.Presented.Current:
		return 0, salt, fmt.Errorf("%w: a rotation needs a refresh token and another that follows it", ErrInvalid)
	case r.Grace < 0 || r.Grace > maxTTL:
		return 0, salt, fmt.Errorf("%w: the grace is negative, or more than a hundred years", ErrInvalid)
	}
	if err := validateEnd(r.Expires, time.Now()); err != nil {
		return 0, salt, err
	}
	if _, ok := token.SessionShard(id); !ok {
		return token.RotationUnknown, salt, nil
	}
	err = s.observed("session_rotate", func() (err error) {
		result, salt, err = s.backend.RotateSession(ctx, id, r)
		return err
	})
	return result, salt, err
}

// EndSession removes a session; one that is not there is no error.
func (s *Store) EndSession(ctx context.Context, id string) error {
	if _, ok := token.SessionShard(id); !ok {
		return nil
	}
	return s.observed("session_end", func() error { return s.backend.EndSession(ctx, id) })
}

// Sessions returns the sessions of a subject that are not over and were not
// replayed, the newest login first. Of more than 1000 these are the ones that
// end last.
func (s *Store) Sessions(ctx context.Context, issuer, subject string) ([]token.Session, error) {
	var list []token.Session
	err := s.observed("sessions", func() (err error) {
		list, err = s.backend.sessions(ctx, issuer, subject)
		another := func(x token.Session) bool { return x.Issuer != issuer || x.Subject != subject }
		return whole(err, !slices.ContainsFunc(list, another))
	})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(x token.Session) bool { return x.Replayed })
	slices.SortFunc(list, func(a, b token.Session) int {
		return cmp.Or(b.AuthTime.Compare(a.AuthTime), b.Refreshed.Compare(a.Refreshed), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// whole is the error of reading what should be another's answer (GO-2025-3540)
// or was changed by hand.
func whole(err error, right bool) error {
	if err == nil && !right {
		return fmt.Errorf("%w: %w", ErrUnavailable, errors.New("it answered with another session than was asked for"))
	}
	return err
}
