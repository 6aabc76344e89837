package store

import (
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/auth/revocation"
)

// journalSize is how many of the last writes a follower can be behind before
// it needs a snapshot again.
const journalSize = 4096

// journal is the log of an embedded store, in memory and since it was opened:
// a snapshot has all from before.
type journal struct {
	name    string // random, so that positions in another journal are told apart
	mu      sync.Mutex
	first   uint64 // number of entries[0]
	entries []revocation.Event
	changed chan struct{} // closed with the next entry
}

func newJournal() *journal {
	return &journal{name: rand.Text(), changed: make(chan struct{})}
}

// add appends a write and wakes the followers.
func (j *journal) add(e revocation.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Time = time.Now()
	e.Position = j.position(j.first + uint64(len(j.entries)) + 1)
	if len(j.entries) == 2*journalSize {
		j.entries = append([]revocation.Event(nil), j.entries[journalSize:]...)
		j.first += journalSize
	}
	j.entries = append(j.entries, e)
	close(j.changed)
	j.changed = make(chan struct{})
}

// end is the position after the last write.
func (j *journal) end() revocation.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.position(j.first + uint64(len(j.entries)))
}

func (j *journal) position(n uint64) revocation.Position {
	return revocation.Position(j.name + " " + strconv.FormatUint(n, 10))
}

// after returns what was written after the position and a channel that is
// closed when there is more; ok is false when the position is not to be had.
func (j *journal) after(p revocation.Position) (events []revocation.Event, changed <-chan struct{}, ok bool) {
	name, number, _ := strings.Cut(string(p), " ")
	n, err := strconv.ParseUint(number, 10, 64)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil || name != j.name || n < j.first || n > j.first+uint64(len(j.entries)) {
		return nil, nil, false
	}
	return j.entries[n-j.first:], j.changed, true
}
