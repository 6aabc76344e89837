package users

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"gatehouse/auth/token"
)

const (
	// memoryBudget is what all hashes that are computed at once may take, in KiB.
	memoryBudget = 512 << 10
	// waitingPerThread and maxWait bound the queue: who would wait longer is
	// told so at once, since a login that came through then would find its
	// client gone.
	waitingPerThread = 64
	maxWait          = 2 * time.Second
)

// Hasher bounds what hashing passwords takes of the machine. There is one for
// the process, which the configurations share. Who comes first is served first.
type Hasher struct {
	verify  func(ctx context.Context, h PasswordHash, password string) (bool, error)
	procs   func() int // GOMAXPROCS, but in tests
	process *Process   // nil: hashes are computed in this one

	mu      sync.Mutex
	limit   int // as SetLimit was told
	running load
	waiting []*turn
}

// load is what hashes take while they are computed.
type load struct {
	threads int
	memory  int // KiB
}

// turn is a place in the queue.
type turn struct {
	load
	granted chan struct{} // closed when it is its turn
}

// HasherConfig configures a [Hasher].
type HasherConfig struct {
	Limit   int      // see SetLimit
	Process *Process // where hashes are computed; nil: in this process
}

// NewHasher returns a Hasher, which fails when the limit is no limit.
func NewHasher(cfg HasherConfig) (*Hasher, error) {
	h := &Hasher{
		verify: func(_ context.Context, h PasswordHash, password string) (bool, error) {
			return h.matches(password), nil
		},
		procs:   func() int { return runtime.GOMAXPROCS(0) },
		process: cfg.Process,
	}
	if cfg.Process != nil {
		h.verify = cfg.Process.matches
	}
	if err := h.SetLimit(cfg.Limit); err != nil {
		return nil, err
	}
	return h, nil
}

// SetLimit sets how many threads may hash at once, at least 1. A hash with p
// lanes takes p of them, or all when there are less. Whatever the limit, one of
// the processors (GOMAXPROCS) is left to requests, where there is more than one.
func (h *Hasher) SetLimit(n int) error {
	if n < 1 {
		return errors.New("users: at least one password must be hashed at once")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.limit = n
	h.advance()
	return nil
}

// check reports whether the prepared password is that of the hash. It fails
// with token.ErrBusy when too many wait already or the wait takes too long, with
// ctx's error, and when the process that hashes fails.
func (h *Hasher) check(ctx context.Context, p PasswordHash, password string) (bool, error) {
	l := p.load()
	if err := h.acquire(ctx, l); err != nil {
		return false, err
	}
	defer h.release(l)
	return h.verify(ctx, p, password)
}

// Close ends the process that hashes, if there is one. Nothing is to be checked
// any more.
func (h *Hasher) Close() {
	if h.process != nil {
		h.process.Close()
	}
}

func (p PasswordHash) load() load {
	return load{threads: max(1, int(p.threads)), memory: int(p.memory)}
}

func (h *Hasher) acquire(ctx context.Context, l load) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := h.queue(l)
	if t == nil {
		return token.ErrBusy
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case <-t.granted:
		return nil
	case <-timer.C:
		return h.leave(t, token.ErrBusy)
	case <-ctx.Done():
		return h.leave(t, ctx.Err())
	}
}

// queue returns a place in the queue, nil when it is full.
func (h *Hasher) queue(l load) *turn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) >= waitingPerThread*h.threads() {
		return nil
	}
	t := &turn{load: l, granted: make(chan struct{})}
	h.waiting = append(h.waiting, t)
	h.advance()
	return t
}

// leave gives the place up and returns why, but for a turn that has come
// meanwhile: that is taken.
func (h *Hasher) leave(t *turn, why error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.waiting, t)
	if i < 0 {
		return nil
	}
	h.waiting = slices.Delete(h.waiting, i, i+1)
	h.advance() // those behind may fit where it did not
	return why
}

func (h *Hasher) release(l load) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running.threads -= l.threads
	h.running.memory -= l.memory
	h.advance()
}

// threads is how many may hash at once.
func (h *Hasher) threads() int { return min(h.limit, max(1, h.procs()-1)) }

// advance lets those begin whose turn it is. One that is larger than all there
// is has its turn alone.
func (h *Hasher) advance() {
	for len(h.waiting) > 0 {
		t := h.waiting[0]
		after := load{h.running.threads + t.threads, h.running.memory + t.memory}
		if h.running.threads > 0 && (after.threads > h.threads() || after.memory > memoryBudget) {
			return
		}
		h.running, h.waiting = after, h.waiting[1:]
		close(t.granted)
	}
}
