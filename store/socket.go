package store

import (
	"context"
	"encoding/gob"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/auth/token"
)

// The owner of a file does for others what they ask on a socket beside it. A
// connection carries one request and the replies to it, by encoding/gob: any
// number of events, and one last reply that says how it ended. Whoever may
// open the socket may open the file, so there is no more to check than that.

type socketRequest struct {
	Op       string // what is asked; the fields are those that it needs
	Event    revocation.Event
	Entries  []auth.Revocation
	From     revocation.Position
	Session  token.Session // or as much of it as says which
	Rotation token.Rotation
	Limits   []token.Limit
	Ring     socketRing
}

type socketReply struct {
	Event    revocation.Event
	Last     bool // no event; how it ended is below
	Position revocation.Position
	Session  token.Session
	Sessions []token.Session
	Result   token.RotationResult
	Salt     [32]byte
	Wait     time.Duration
	Ring     socketRing
	Outcome  uint8  // 0: none of socketOutcomes, else which, from 1
	Error    string // empty: well
}

type socketRing struct {
	Issuer  string
	Data    []byte
	Version uint64
}

// socketOutcomes are the errors that do not mean that the store failed. What is
// new comes last, since both sides need not be of one version.
var socketOutcomes = []error{revocation.ErrGap, token.ErrNoSession, ErrConflict}

const (
	// maxSocketPath is what fits into a socket's address everywhere (sun_path).
	maxSocketPath = 103
	// socketTimeout is how long one side waits for the other to read or write
	// once. A follower hears something every beatEvery.
	socketTimeout = 5 * time.Second
)

func socketPath(file string) string { return file + ".sock" }

// serveSocket answers other processes until the function that it returns is
// called. A socket that cannot be had is no reason not to start: it is logged,
// and nil is returned.
func serveSocket(file string, s *embedded, log *slog.Logger) (stop func()) {
	path := socketPath(file)
	if len(path) > maxSocketPath {
		log.Warn("store: commands beside this process cannot reach its file, because the path of the socket is too long; "+
			"use a shorter one", "socket", path, "longest", maxSocketPath)
		return nil
	}
	// Who has the file's lock has the right to the name: what is there was
	// left by an owner that was killed.
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		_ = os.Remove(path)
	}
	ln, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600) // with the usual umask nobody else could connect before either
	}
	if err != nil {
		log.Warn("store: commands beside this process cannot reach its file", "error", err)
		if ln != nil {
			ln.Close()
		}
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // out of file descriptors, say
				time.Sleep(lockPause)
				continue
			}
			wg.Go(func() { answer(ctx, conn, s) })
		}
	})
	return func() {
		cancel()
		ln.Close() // removes the socket
		wg.Wait()
	}
}

// answer does what one connection asks.
func answer(ctx context.Context, conn net.Conn, s *embedded) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var ask socketRequest
	_ = conn.SetDeadline(time.Now().Add(socketTimeout))
	if gob.NewDecoder(conn).Decode(&ask) != nil {
		return
	}
	out := gob.NewEncoder(conn)
	send := func(r socketReply) error {
		_ = conn.SetDeadline(time.Now().Add(socketTimeout))
		return out.Encode(r)
	}
	last, err := s.do(ctx, ask, func(e revocation.Event) error { return send(socketReply{Event: e}) })
	last.Last = true
	if err != nil {
		last.Error = err.Error()
		isErr := func(outcome error) bool { return errors.Is(err, outcome) }
		last.Outcome = uint8(slices.IndexFunc(socketOutcomes, isErr) + 1)
	}
	_ = send(last)
}

// do does what another process asks.
func (s *embedded) do(ctx context.Context, ask socketRequest, yield func(revocation.Event) error) (reply socketReply, err error) {
	switch ask.Op {
	case "ping":
		err = s.ping(ctx)
	case "write":
		err = s.write(ctx, ask.Event)
	case "restore":
		err = s.Restore(ctx, ask.Entries)
	case "confirm":
		var there []auth.Revocation
		there, _, err = s.Confirm(ctx, ask.From, ask.Entries...)
		for _, r := range there {
			err = errors.Join(err, yield(revocation.Event{Op: revocation.Revoked, Revocation: r}))
		}
	case "snapshot":
		reply.Position, err = s.Snapshot(ctx, yield)
	case "follow":
		err = s.Follow(ctx, ask.From, yield)
	case "session_put":
		err = s.PutSession(ctx, ask.Session, ask.Session.Refresh)
	case "session":
		reply.Session, err = s.Session(ctx, ask.Session.ID)
	case "sessions":
		reply.Sessions, err = s.sessions(ctx, ask.Session.Issuer, ask.Session.Subject)
	case "session_rotate":
		reply.Result, reply.Salt, err = s.RotateSession(ctx, ask.Session.ID, ask.Rotation)
	case "session_end":
		err = s.EndSession(ctx, ask.Session.ID)
	case "login_take":
		reply.Wait, err = s.Take(ctx, ask.Limits)
	case "login_return":
		err = s.Return(ctx, ask.Limits)
	case "keyring":
		reply.Ring.Data, reply.Ring.Version, err = s.keyring(ctx, ask.Ring.Issuer)
	case "keyring_put":
		err = s.putKeyring(ctx, ask.Ring.Issuer, ask.Ring.Data, ask.Ring.Version)
	default:
		err = errors.New("the process that owns the file does not know this request; are both of one version?")
	}
	return reply, err
}
