package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"gatehouse/auth/token"
)

var (
	bucketSessions    = []byte("sessions")     // id → embeddedSession
	bucketSessionEnds = []byte("session_ends") // end, id → nothing
	bucketSubjects    = []byte("subjects")     // token.SubjectHash, id → nothing
)

// embeddedSession is a session in the file.
type embeddedSession struct {
	sessionRecord
	sessionState
}

func (s *embeddedSession) subjectKey() []byte {
	sum := token.SubjectHash(s.Issuer, s.Subject)
	return append(sum[:], s.ID...)
}

// endKey puts what ends at that time, in Unix milliseconds, into order.
func endKey(ms int64, name string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(ms)), name...)
}

// readSession returns nil when there is none, over or not.
func readSession(tx *bbolt.Tx, id string) (*embeddedSession, error) {
	record := tx.Bucket(bucketSessions).Get([]byte(id))
	if record == nil {
		return nil, nil
	}
	var s embeddedSession
	if json.Unmarshal(record, &s) != nil || s.ID != id || s.Expires <= 0 {
		return nil, errSession
	}
	return &s, nil
}

func writeSession(tx *bbolt.Tx, s *embeddedSession) error {
	record, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return errors.Join(
		tx.Bucket(bucketSessions).Put([]byte(s.ID), record),
		tx.Bucket(bucketSubjects).Put(s.subjectKey(), nil),
		tx.Bucket(bucketSessionEnds).Put(endKey(s.Expires, s.ID), nil),
	)
}

// dropSession takes out a session if it is there, also one that cannot be read,
// for which it says nothing.
func dropSession(tx *bbolt.Tx, id string) error {
	s, _ := readSession(tx, id)
	if err := tx.Bucket(bucketSessions).Delete([]byte(id)); s == nil || err != nil {
		return err
	}
	return errors.Join(
		tx.Bucket(bucketSubjects).Delete(s.subjectKey()),
		tx.Bucket(bucketSessionEnds).Delete(endKey(s.Expires, id)),
	)
}

// trimSessions takes out sessions that were over at that time.
func trimSessions(tx *bbolt.Tx, over time.Time) error {
	ends := tx.Bucket(bucketSessionEnds)
	for _, k := range overdue(ends, endKey(over.UnixMilli(), "")) {
		if err := errors.Join(dropSession(tx, string(k[8:])), ends.Delete(k)); err != nil {
			return err
		}
	}
	return nil
}

func (s *embedded) PutSession(ctx context.Context, session token.Session, r token.RefreshHashes) error {
	return s.update(ctx, func(tx *bbolt.Tx) error {
		return errors.Join(
			dropSession(tx, session.ID),
			writeSession(tx, &embeddedSession{recordOf(session), stateOf(session, r)}),
			trimSessions(tx, time.Now().Add(-trimSlack)),
		)
	})
}

func (s *embedded) Session(ctx context.Context, id string) (out token.Session, err error) {
	found := false
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		e, err := readSession(tx, id)
		if e == nil || err != nil || time.Now().UnixMilli() >= e.Expires {
			return err
		}
		out, found = sessionOf(e.sessionRecord, e.sessionState), true
		return nil
	})
	if err == nil && !found {
		err = token.ErrNoSession
	}
	return out, err
}

func (s *embedded) sessions(ctx context.Context, issuer, subject string) (list []token.Session, err error) {
	sum := token.SubjectHash(issuer, subject)
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketSubjects).Cursor()
		for k, _ := c.Seek(sum[:]); bytes.HasPrefix(k, sum[:]); k, _ = c.Next() {
			e, err := readSession(tx, string(k[len(sum):]))
			if err != nil {
				return err
			}
			if e != nil && time.Now().UnixMilli() < e.Expires {
				list = append(list, sessionOf(e.sessionRecord, e.sessionState))
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b token.Session) int { return b.Expires.Compare(a.Expires) })
	return list[:min(len(list), maxListed)], err
}

func (s *embedded) RotateSession(ctx context.Context, id string, r token.Rotation) (result token.RotationResult, salt [32]byte, err error) {
	err = s.update(ctx, func(tx *bbolt.Tx) error {
		e, err := readSession(tx, id)
		if err != nil {
			return err
		}
		if e == nil {
			return errSame
		}
		old := endKey(e.Expires, id)
		result, salt = e.rotate(r, time.Now().UnixMilli())
		if result == token.RotationUnknown || result == token.RotationRepeated {
			return errSame
		}
		return errors.Join(
			tx.Bucket(bucketSessionEnds).Delete(old),
			writeSession(tx, e),
			trimSessions(tx, time.Now().Add(-trimSlack)),
		)
	})
	return result, salt, err
}

func (s *embedded) EndSession(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *bbolt.Tx) error { return dropSession(tx, id) })
}
