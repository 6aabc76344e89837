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
	x.pass()
	o.by[x] = x.state
	o.done.Add(1)
}

// watchAnswer watches over an answer that can take long. Its body may be closed
// beside a Read.
func (x *Exchange) watchAnswer(res *http.Response) {
	if res.ContentLength >= 0 && res.ContentLength <= longAnswer { // 0 of a 101
		return
	}
	if res.ContentLength < 0 {
		x.body.converse()
	}
	if p := x.decision.Principal; p.Token != nil || p.APIKeyID != "" || x.certificate != nil || x.route.StreamIdle > 0 {
		body := res.Body
		x.watch(func() { _ = body.Close() })
	}
}

// pass notes that something has passed, be it to the client or from it.
func (x *Exchange) pass() { x.passed.Store(x.handler.now().UnixNano()) }

// idle reports whether nothing has for too long.
func (x *Exchange) idle(now time.Time) bool {
	limit := x.route.StreamIdle
	return limit > 0 && now.Sub(time.Unix(0, x.passed.Load())) > limit
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
// What memory does not suffice for is asked when all others are through, and
// only for so long that these do not wait for it the next time.
func (o *ongoing) recheck(ctx context.Context, s *State, now time.Time) {
	open := map[*Exchange]*State{}
	o.mu.Lock()
	for x, last := range o.by {
		if x.idle(now) {
			x.reason, x.detail = auth.UpstreamTimeout, "nothing passed either way for the route's stream_idle_timeout"
			x.cut()
			continue
		}
		reason := x.again(ctx, s, last, now, false)
		o.conclude(x, s, reason)
		if reason == auth.StoreUnavailable || reason == auth.KeysUnavailable {
			open[x] = last
		}
	}
	o.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, recheckInterval/2)
	defer cancel()
	for x, last := range open { // which are through at once when the time is over
		reason := x.again(ctx, s, last, now, true)
		o.mu.Lock()
		if _, there := o.by[x]; there {
			o.conclude(x, s, reason)
		}
		o.mu.Unlock()
	}
}

// conclude does what a recheck by that State has come to. The lock is held.
func (o *ongoing) conclude(x *Exchange, s *State, reason auth.Reason) {
	switch {
	case reason == auth.OK:
		o.by[x] = s
	case reason.Status() < http.StatusInternalServerError:
		x.reason = reason
		x.cut()
	}
}

// again decides whether the exchange may go on; ask says whether the store and
// issuers may be asked. By another configuration than the last the whole
// decision is taken anew: its route, its issuer or its key may be gone.
func (x *Exchange) again(ctx context.Context, s, last *State, now time.Time, ask bool) auth.Reason {
	certificate, reason := x.clientCertificate(s, now) // that of the connection may be good no longer
	if reason != auth.OK {
		return reason
	}
	if last == s {
		if ask {
			return s.gate.Reconfirm(ctx, x.decision.Principal, now)
		}
		return s.gate.Recheck(x.decision.Principal, now)
	}
	route, _, reason := s.table.match(x.in.Method, x.in.Host, x.path)
	if reason != auth.OK {
		return reason
	}
	credentials := s.credentialsOf(x.in, route.Policy).WithCertificate(certificate)
	if ask {
		return s.gate.Resolve(ctx, route.Policy, credentials, now).Reason
	}
	d := s.gate.Decide(route.Policy, credentials, now)
	if d.Open() {
		// It may stay open for as long as nobody answers: what the configuration
		// before knows of the credential's end counts meanwhile.
		if reason := last.gate.Recheck(x.decision.Principal, now); reason != auth.OK {
			return reason
		}
	}
	return d.Reason
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
			h.ongoing.recheck(ctx, h.state(), h.now())
		}
	}
}
