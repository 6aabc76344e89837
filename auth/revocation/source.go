package revocation

import (
	"context"
	"errors"
	"time"

	"gatehouse/auth"
)

// Op says what an [Event] tells.
type Op uint8

// The operations.
const (
	Revoked    Op = iota + 1 // Revocation was added
	KeyPut                   // Key was added, or replaces the one with its hash
	KeyDeleted               // the key with the hash Key.SHA256 is gone
	Current                  // the list is whole as of Time
	Settling                 // it may lack what replicas know that have not noticed yet that the source lost it
)

// Event is one thing that a [Source] tells.
type Event struct {
	Op         Op
	Revocation auth.Revocation
	Key        auth.APIKey
	// Time is, for Current, when everything written had been told, by this
	// process's clock; a source that cannot fall behind says [Always]. For the
	// others it is when the entry was written, by the store's clock, and zero
	// in a snapshot.
	Time time.Time
	// Healing is for Current: replicas are still writing back what the source
	// lost, so the list is whole for those alone who had it before.
	Healing bool
	// Position is where to follow on from after this event. Empty in a
	// snapshot.
	Position Position
}

// Position is a place in a source's log. Only its source can read it.
type Position string

// Always is the time of the Current events of a source that cannot fall
// behind: so far ahead that the age stays 0.
func Always() time.Time { return time.Now().Add(100 * 365 * 24 * time.Hour) }

// ErrGap is what following ends with when the position is no longer to be
// had, because the log was trimmed past it or is another one, or when another
// server keeps it: a new snapshot is needed.
var ErrGap = errors.New("the log no longer holds the position that was followed from")

// Confirmer is a source that can be asked about single entries, by mirrors that
// do not hold all of them, and in which others note that nothing is missing.
type Confirmer interface {
	// Confirm returns what there is under the names that each of the entries can
	// have, of which only the names matter. Whole says that what was there when
	// the log was at since has not been lost, or is back as [Confirmer.Vouch] has
	// it: so what is not there is not revoked. The source bounds the time.
	Confirm(ctx context.Context, since Position, entries ...auth.Revocation) (there []auth.Revocation, whole bool, err error)
	// Vouch notes that a replica which knew every entry when the log was at since
	// has found all of them in the source as it is at now.
	Vouch(ctx context.Context, since, now Position) error
}

// Source is where a feed reads from.
type Source interface {
	Confirmer
	// Snapshot tells all there is, stored API keys first, and returns the
	// position to follow from, which was taken before. What is written
	// meanwhile may be told here, and is told again by Follow. An error of
	// yield ends it and is returned.
	Snapshot(ctx context.Context, yield func(Event) error) (Position, error)
	// Follow tells what is written after the position, in its order, as it
	// comes, and at once and then at least every few seconds that the list is
	// current, or settling. It returns when ctx is done, with an error of
	// yield, with ErrGap, or when the source cannot be read.
	Follow(ctx context.Context, from Position, yield func(Event) error) error
	// Restore writes entries back that the source has lost, and tells its
	// followers those that it really lacked. It keeps replicas that start
	// meanwhile from being Current; for a moment also when there are no
	// entries, which announces some. It is safe to repeat.
	Restore(ctx context.Context, entries []auth.Revocation) error
}
