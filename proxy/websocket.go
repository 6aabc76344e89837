package proxy

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse/auth"
)

// recheckInterval bounds how long a live connection outlasts its credential.
const recheckInterval = 500 * time.Millisecond

// upgraded are the connections that are WebSockets now. The lock is taken when
// one begins or ends, never for other requests.
type upgraded struct {
	mu     sync.Mutex
	conns  map[*Exchange]*State // and the State by which each was let in last
	closed bool
	done   sync.WaitGroup
}

// Hijack is called by ReverseProxy when both sides have agreed to switch
// protocols.
func (x *Exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(x.writer).Hijack()
	if err == nil {
		x.status = http.StatusSwitchingProtocols
		x.handler.upgraded.add(x)
	}
	return conn, rw, err
}

// add notes a live connection. When the handler is ending, it ends at once.
func (u *upgraded) add(x *Exchange) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		x.cancel()
		return
	}
	u.conns[x] = x.state
	u.done.Add(1)
}

func (u *upgraded) remove(x *Exchange) {
	if x.status != http.StatusSwitchingProtocols {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.conns[x]; ok {
		delete(u.conns, x)
		u.done.Done()
	}
}

// recheck ends the connections whose credential is no longer good. Only a fault
// of the credential does that: not a revocation list that is too old.
func (u *upgraded) recheck(s *State, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for x, last := range u.conns {
		var reason auth.Reason
		if last == s {
			reason = s.gate.Recheck(x.decision.Principal, now)
		} else if reason = x.redecide(s, now); reason == auth.OK {
			u.conns[x] = s
		}
		if reason != auth.OK && reason.Status() < http.StatusInternalServerError {
			x.reason = reason
			x.cancel()
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

// close ends all connections and waits for their handlers.
func (u *upgraded) close() {
	u.mu.Lock()
	u.closed = true
	for x := range u.conns {
		x.cancel()
	}
	u.mu.Unlock()
	u.done.Wait()
}

// Run watches over live upgraded connections: each ends within a second of its
// credential. When ctx ends it ends them all, waits for them and returns nil;
// by then the server must have stopped accepting.
func (h *Handler) Run(ctx context.Context) error {
	tick := time.NewTicker(recheckInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			h.upgraded.close()
			h.transport.CloseIdleConnections()
			return nil
		case <-tick.C:
			h.upgraded.recheck(h.state(), h.now())
		}
	}
}
