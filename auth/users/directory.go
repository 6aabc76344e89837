package users

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"gatehouse/auth/token"
)

// DirectoryConfig is what a Directory is made of; all of it is needed.
type DirectoryConfig struct {
	Sources []Source // in the order in which they are asked
	Hasher  *Hasher
	Log     *slog.Logger
}

// Source is one place where users are known: a *File, a *Postgres or an *HTTP.
type Source interface {
	// Name is what sessions remember it by; no two sources have the same.
	Name() string
	// reread returns the user of a session as it is now, or errUnknown.
	reread(ctx context.Context, s token.Session) (Record, error)
}

// lookup is a source with hashes, which are verified here.
type lookup interface {
	Source
	// find returns the user with that canonical name, or errUnknown.
	find(ctx context.Context, username string) (Record, error)
	// hashes returns those of its users, nil when it does not know; and a secret
	// that is the same wherever the same users are looked up.
	hashes() (all []PasswordHash, secret string)
}

// delegate is a source that has passwords verified elsewhere.
type delegate interface {
	Source
	// login returns the user, or errUnknown whether there is none or the
	// password is wrong.
	login(ctx context.Context, username, password string) (Record, error)
}

// errUnknown is the answer of a source that does not know the user.
var errUnknown = errors.New("there is no such user")

// Directory looks users up in several sources. It implements token.Users.
type Directory struct {
	cfg    DirectoryConfig
	shapes shapes
	learns map[Source]bool // the kinds of its hashes show only in what it finds
}

var _ token.Users = (*Directory)(nil)

// NewDirectory returns a Directory. It fails when a part is missing or two
// sources have one name.
func NewDirectory(cfg DirectoryConfig) (*Directory, error) {
	if len(cfg.Sources) == 0 || cfg.Hasher == nil || cfg.Log == nil {
		return nil, errors.New("users: a directory needs sources, a hasher and a log")
	}
	d := &Directory{cfg: cfg, learns: map[Source]bool{}}
	names := map[string]bool{}
	for _, s := range cfg.Sources {
		if names[s.Name()] {
			return nil, fmt.Errorf("users: two sources have the name %q", s.Name())
		}
		names[s.Name()] = true
		if s, ok := s.(lookup); ok {
			all, secret := s.hashes()
			d.shapes.mix(secret)
			d.learns[s] = all == nil
			for _, h := range all {
				d.shapes.add(h.shape)
			}
		}
	}
	return d, nil
}

// Close lets the connections of the sources go. The directory can still be
// asked, by requests that began before, and keeps none then.
func (d *Directory) Close() {
	for _, s := range d.cfg.Sources {
		if s, ok := s.(interface{ Close() }); ok {
			s.Close()
		}
	}
}

// Login implements token.Users.
func (d *Directory) Login(ctx context.Context, username, password string) (token.User, error) {
	sources := d.cfg.Sources
	if canonical, ok := token.CanonicalUsername(username); !ok || canonical != username {
		sources = nil // nobody has such a name, and no source need cope with it
	}
	verified := false // by the source that was asked last
	for i, s := range sources {
		r, err := d.ask(ctx, s, username, password)
		_, verified = s.(delegate)
		switch {
		case errors.Is(err, errUnknown):
			continue
		case err != nil:
			return token.User{}, sourceError(s, err)
		case !verified:
			err = d.verify(ctx, s, r, username, password)
		}
		if err == nil && !r.Disabled {
			return userOf(s, r, username), nil
		}
		if err == nil || errors.Is(err, token.ErrLogin) {
			d.askInVain(ctx, sources[i+1:], username)
			err = token.ErrLogin
		}
		return token.User{}, err
	}
	if verified {
		return token.User{}, token.ErrLogin
	}
	return token.User{}, d.verify(ctx, nil, Record{}, username, password)
}

// ask asks one source for the user.
func (d *Directory) ask(ctx context.Context, s Source, username, password string) (r Record, err error) {
	switch s := s.(type) {
	case delegate:
		r, err = s.login(ctx, username, password)
	case lookup:
		r, err = s.find(ctx, username)
	}
	if err == nil {
		err = r.check()
	}
	return r, err
}

// verify computes exactly one hash. It returns token.ErrLogin unless the
// password is that of the record; the zero record is nobody's.
func (d *Directory) verify(ctx context.Context, s Source, r Record, username, password string) error {
	h, err := ParseHash(r.PasswordHash)
	usable := err == nil
	switch {
	case usable && d.learns[s]:
		d.shapes.add(h.shape)
	case !usable:
		h = d.shapes.dummy(username)
	}
	if !usable && r.PasswordHash != "" {
		d.cfg.Log.Warn("users: a password hash cannot be used, so its user cannot log in",
			"source", s.Name(), "user", r.ID, "error", err)
	}
	prepared, unfit := prepare(password)
	if unfit != nil {
		prepared = password // for the time that it takes
	}
	right, err := d.cfg.Hasher.check(ctx, h, prepared)
	if err == nil && !(right && usable && unfit == nil) {
		err = token.ErrLogin
	}
	return err
}

// askInVain makes the look-ups that a name would have cost which the sources
// before did not know, so that time does not tell who does.
func (d *Directory) askInVain(ctx context.Context, rest []Source, username string) {
	for _, s := range rest {
		if s, ok := s.(lookup); ok {
			_, _ = s.find(ctx, username)
		}
	}
}

// Reread implements token.Users.
func (d *Directory) Reread(ctx context.Context, session token.Session) (token.User, error) {
	for _, s := range d.cfg.Sources {
		if s.Name() != session.Source {
			continue
		}
		r, err := s.reread(ctx, session)
		if err == nil {
			err = r.check()
		}
		switch {
		case errors.Is(err, errUnknown):
			return token.User{}, token.ErrLogin
		case err != nil:
			return token.User{}, sourceError(s, err)
		case r.Disabled || r.ID != session.Subject:
			return token.User{}, token.ErrLogin
		}
		return userOf(s, r, session.Username), nil
	}
	// Dropped, or not yet known to this replica: no reason to end the session.
	return token.User{}, fmt.Errorf("no source of users is called %q any more", session.Source)
}

func userOf(s Source, r Record, username string) token.User {
	return token.User{ID: r.ID, Username: username, Source: s.Name(), Email: r.Email, Claims: r.Claims}
}

func sourceError(s Source, err error) error { return fmt.Errorf("users of %s: %w", s.Name(), err) }
