package token

import (
	"context"
	"maps"
	"sync"
	"time"

	"gatehouse/auth"
)

// fakeStore keeps what the store keeps, as the store is to keep it. Its clock is
// the fixture's.
type fakeStore struct {
	now  func() time.Time
	list *fakeList

	mu       sync.Mutex
	failing  map[string]error // by the method's name
	calls    []string
	rotated  int
	salts    [][32]byte
	sessions map[string]*fakeSession
	counts   map[string]fakeCount
}

type fakeSession struct {
	Session
	grace map[[32]byte]fakeRotation // by the hash of the token that was presented
}

type fakeRotation struct {
	salt [32]byte
	at   time.Time
}

type fakeCount struct {
	n     int
	until time.Time
}

func (f *fakeStore) begin(operation string) (func(), error) {
	f.mu.Lock()
	f.calls = append(f.calls, operation)
	return f.mu.Unlock, f.failing[operation]
}

// get returns a session that is not over.
func (f *fakeStore) get(id string) *fakeSession {
	if s := f.sessions[id]; s != nil && f.now().Before(s.Expires) {
		return s
	}
	return nil
}

func (f *fakeStore) PutSession(_ context.Context, s Session, r RefreshHashes) error {
	end, err := f.begin("PutSession")
	defer end()
	if err == nil {
		s.Refresh, s.Replayed = r, false
		f.sessions[s.ID] = &fakeSession{Session: s, grace: map[[32]byte]fakeRotation{}}
	}
	return err
}

func (f *fakeStore) Session(_ context.Context, id string) (Session, error) {
	end, err := f.begin("Session")
	defer end()
	if err != nil {
		return Session{}, err
	}
	if s := f.get(id); s != nil {
		return s.Session, nil
	}
	return Session{}, ErrNoSession
}

func (f *fakeStore) RotateSession(_ context.Context, id string, r Rotation) (result RotationResult, salt [32]byte, err error) {
	end, err := f.begin("RotateSession")
	defer end()
	if err != nil {
		return 0, salt, err
	}
	s := f.get(id)
	if s == nil || s.Refresh == (RefreshHashes{}) {
		return RotationUnknown, salt, nil
	}
	before, known := s.grace[r.Presented.Current]
	switch {
	case s.Replayed:
		return RotationReplayed, salt, nil
	case s.Refresh.Current == r.Presented.Current:
		f.rotated++
		f.salts = append(f.salts, r.Salt)
		s.grace[r.Presented.Current] = fakeRotation{r.Salt, f.now()}
		s.Refresh.Current, s.Expires, s.Refreshed = r.Next, r.Expires, f.now()
		return Rotated, salt, nil
	case known && f.now().Sub(before.at) < r.Grace:
		return RotationRepeated, before.salt, nil
	case s.Refresh.Family == r.Presented.Family:
		s.Replayed = true
		return RotationReplayed, salt, nil
	}
	return RotationUnknown, salt, nil
}

func (f *fakeStore) EndSession(_ context.Context, id string) error {
	end, err := f.begin("EndSession")
	defer end()
	if err == nil {
		delete(f.sessions, id)
	}
	return err
}

func (f *fakeStore) Take(_ context.Context, limits []Limit) (wait time.Duration, err error) {
	end, err := f.begin("Take")
	defer end()
	if err != nil {
		return 0, err
	}
	taken := maps.Clone(f.counts)
	for _, l := range limits {
		c := taken[l.Key]
		if !f.now().Before(c.until) {
			c = fakeCount{until: f.now().Add(l.Window)}
		}
		if c.n >= l.Max {
			wait = max(wait, c.until.Sub(f.now()))
		}
		c.n++
		taken[l.Key] = c
	}
	if wait == 0 {
		f.counts = taken
	}
	return wait, nil
}

func (f *fakeStore) Return(_ context.Context, limits []Limit) error {
	end, err := f.begin("Return")
	defer end()
	if err != nil {
		return err
	}
	for _, l := range limits {
		if c, ok := f.counts[l.Key]; ok && c.n > 0 {
			c.n--
			f.counts[l.Key] = c
		}
	}
	return nil
}

func (f *fakeStore) Revoke(_ context.Context, r auth.Revocation) error {
	end, err := f.begin("Revoke")
	defer end()
	if err == nil {
		f.list.add(r)
	}
	return err
}

// fakeList is the revocation list.
type fakeList struct {
	mu      sync.RWMutex
	entries map[auth.RevocationKey]auth.Revocation
	err     error // of the store, where memory is unsure
	stale   bool
}

func (l *fakeList) add(r auth.Revocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[r.Key()] = r
}

func (l *fakeList) Covers(_ auth.Kind, key auth.RevocationKey, begun, now int64) auth.Coverage {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r, ok := l.entries[key]
	if ok && begun <= int64(r.BeforeSeconds()) && now < int64(r.UntilSeconds()) {
		return auth.Covered
	}
	return auth.NotCovered
}

func (l *fakeList) Confirm(_ context.Context, r auth.Revocation, begun, now int64) (auth.Coverage, error) {
	if l.err != nil {
		return auth.Unsure, l.err
	}
	return l.Covers(r.Kind, r.Key(), begun, now), nil
}

func (l *fakeList) Stale(time.Time) bool { return l.stale }

// fakeUsers are users whose passwords stand in clear.
type fakeUsers struct {
	mu       sync.Mutex
	err      error // of every call
	logins   []string
	users    map[string]User
	password string
}

func (u *fakeUsers) Login(_ context.Context, username, password string) (User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.logins = append(u.logins, username)
	user, ok := u.users[username]
	switch {
	case u.err != nil:
		return User{}, u.err
	case !ok || password != u.password:
		return User{}, ErrLogin
	}
	return user, nil
}

func (u *fakeUsers) Reread(_ context.Context, s Session) (User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	user, ok := u.users[s.Username]
	switch {
	case u.err != nil:
		return User{}, u.err
	case !ok || user.Source != s.Source:
		return User{}, ErrLogin
	}
	return user, nil
}

func (u *fakeUsers) set(username string, change func(*User)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	user := u.users[username]
	change(&user)
	u.users[username] = user
}
