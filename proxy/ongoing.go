package proxy

import (
	"context"
	"net/http"
	"sync"
	"time"

	"gatehouse/auth"
)

// recheckInterval bounds how long what goes on outlasts its credential.
const recheckInterval = 500 * time.Millisecond

// longAnswer is from how many bytes on an answer can take long. One that does
// not say its length can too.
const longAnswer = 256 << 10

// ongoing are the WebSockets, and the answers that can take long: event streams
// and downloads. The lock is taken when one begins or ends, never for other
// requests.
type ongoing struct {
	mu     sync.Mutex
	by     map[*Exchange]*State // and the State by which each was let in last
	closed bool
	done   sync.WaitGroup
}

// watch has the exchange end with its credential; cut ends it, from another
// goroutine. When the handler is ending, it ends at once.
func (x *Exchange) watch(cut func()) {
	o := &x.handler.ongoing
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		cut()
		return
	}
	x.cut = cut
	o.by[x] = x.state
	o.done.Add(1)
}

// watchAnswer watches over an answer that can take long. Its body may be closed
// beside a Read.
func (x *Exchange) watchAnswer(res *http.Response) {
	p := x.decision.Principal
	if (p.Token != nil || p.APIKeyID != "") && (res.ContentLength < 0 || res.ContentLength > longAnswer) && res.StatusCode != http.StatusSwitchingProtocols {
		body := res.Body
		x.watch(func() { _ = body.Close() })
	}
}

func (o *ongoing) remove(x *Exchange) {
	if x.cut == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.by, x)
	o.done.Done()
}

// recheck ends what goes on with a credential that is no longer good. Only a
// fault of the credential does that: not a revocation list that is too old.
func (o *ongoing) recheck(s *State, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for x, last := range o.by {
		var reason auth.Reason
		if last == s {
			reason = s.gate.Recheck(x.decision.Principal, now)
		} else if reason = x.redecide(s, now); reason == auth.OK {
			o.by[x] = s
		}
		if reason != auth.OK && reason.Status() < http.StatusInternalServerError {
			x.reason = reason
			x.cut()
		}
	}
}

// redecide takes the whole decision again, by a configuration that came after
// the connection: its route, its issuer or its key may be gone.
func (x *Exchange) redecide(s *State, now time.Time) auth.Reason {
	route, _, reason := s.table.match(x.in.Method, x.in.Host, x.path)
	if reason != auth.OK {
		return reason
	}
	return s.gate.Decide(route.Policy, s.credentialsOf(x.in, route.Policy), now).Reason
}

// close ends all that goes on and waits for their handlers.
func (o *ongoing) close() {
	o.mu.Lock()
	o.closed = true
	for x := range o.by {
		x.cut()
	}
	o.mu.Unlock()
	o.done.Wait()
}

// Run watches over WebSockets, event streams and downloads: each ends within a
// second of its credential. When ctx ends it ends them all, waits for them and
// returns nil; by then the server must have stopped accepting.
func (h *Handler) Run(ctx context.Context) error {
	tick := time.NewTicker(recheckInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			h.ongoing.close()
			h.transport.CloseIdleConnections()
			return nil
		case <-tick.C:
			h.ongoing.recheck(h.state(), h.now())
		}
	}
}
