package gateway

import (
	"context"
	"sync"
)

// lasting are the keys of one kind that outlive configurations: those of an
// issuer whose configuration did not change go on with what they have.
type lasting[T runner] struct {
	mu      sync.Mutex
	all     map[string]*member[T] // by all that they are made of
	changed chan struct{}         // gets a value when there are some to be started
}

type runner interface {
	Run(ctx context.Context) error
}

type member[T runner] struct {
	keys    T
	used    bool               // by the configuration that is being built
	inForce bool               // used by the one that is in force
	stop    context.CancelFunc // nil: not running
}

func newLasting[T runner]() *lasting[T] {
	return &lasting[T]{all: map[string]*member[T]{}, changed: make(chan struct{}, 1)}
}

// of returns the keys of that name; make makes them if they are not there.
func (l *lasting[T]) of(name string, make func() (T, error)) (T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all[name] == nil {
		made, err := make()
		if err != nil {
			return made, err
		}
		l.all[name] = &member[T]{keys: made}
	}
	l.all[name].used = true
	return l.all[name].keys, nil
}

// settle is called when a configuration is in force, or has been refused: what
// it used is started, the rest is stopped. Then the next can be built.
func (l *lasting[T]) settle(accepted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, m := range l.all {
		if accepted {
			m.inForce = m.used
		}
		m.used = false
		if m.inForce {
			continue
		}
		if m.stop != nil {
			m.stop()
		}
		delete(l.all, name)
	}
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Run keeps the keys until ctx is done.
func (l *lasting[T]) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		l.mu.Lock()
		for _, m := range l.all {
			if m.stop != nil {
				continue
			}
			each, stop := context.WithCancel(ctx)
			m.stop = stop
			running.Go(func() { _ = m.keys.Run(each) }) // it ends with its context only
		}
		l.mu.Unlock()
		select {
		case <-l.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// fresh are the keys that are not in force yet.
func (l *lasting[T]) fresh() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	var fresh []T
	for _, m := range l.all {
		if !m.inForce {
			fresh = append(fresh, m.keys)
		}
	}
	return fresh
}
