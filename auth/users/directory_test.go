package users

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth/token"
)

// fakeLookup is a database of users that tells when it is asked.
type fakeLookup struct {
	name  string
	users map[string]Record
	err   error
	asked int
}

func (f *fakeLookup) Name() string { return f.name }

func (f *fakeLookup) find(_ context.Context, username string) (Record, error) {
	f.asked++
	r, ok := f.users[username]
	if f.err != nil {
		return Record{}, f.err
	}
	if !ok {
		return Record{}, errUnknown
	}
	return r, nil
}

func (f *fakeLookup) reread(ctx context.Context, s token.Session) (Record, error) {
	return f.find(ctx, s.Username)
}

func (f *fakeLookup) hashes() ([]PasswordHash, string) { return nil, "secret" }

// fakeDelegate is a service that knows one password of everybody.
type fakeDelegate struct {
	known    *fakeLookup
	password string
	heard    []string
}

func (f *fakeDelegate) Name() string { return f.known.name }

func (f *fakeDelegate) login(ctx context.Context, username, password string) (Record, error) {
	f.heard = append(f.heard, username+" "+password)
	r, err := f.known.find(ctx, username)
	if err == nil && password != f.password {
		return Record{}, errUnknown
	}
	return r, err
}

func (f *fakeDelegate) reread(ctx context.Context, s token.Session) (Record, error) {
	return f.known.reread(ctx, s)
}

// counting returns a Directory and the kinds of the hashes that it computes.
func counting(t testing.TB, sources ...Source) (*Directory, *[]shape) {
	t.Helper()
	h, err := NewHasher(HasherConfig{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	computed := &[]shape{}
	h.verify = func(_ context.Context, p PasswordHash, password string) (bool, error) {
		*computed = append(*computed, p.shape)
		return p.matches(password), nil
	}
	d, err := NewDirectory(DirectoryConfig{Sources: sources, Hasher: h, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return d, computed
}

func mustFile(t testing.TB, name string, records ...Record) *File {
	t.Helper()
	f, err := NewFile(name, records)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLogin(t *testing.T) {
	claims := map[string]json.RawMessage{"role": json.RawMessage(`"admin"`)}
	d, _ := counting(t, mustFile(t, "file", Record{
		ID: "1", Username: "anna", Email: "Anna@example.com", PasswordHash: fastHash(t, "right"), Claims: claims,
	}))
	for _, name := range []string{"anna", "anna@example.com"} {
		u, err := d.Login(t.Context(), name, "right")
		want := token.User{ID: "1", Username: name, Source: "file", Email: "Anna@example.com", Claims: claims}
		if err != nil || fmt.Sprint(u) != fmt.Sprint(want) {
			t.Errorf("%s is %+v, %v; want %+v", name, u, err, want)
		}
	}
}

// Whatever is wrong, one hash is computed, of the kind that the users have, and
// the answer is the same.
func TestA01OneHashPerRefusal(t *testing.T) {
	argon, crypt := fastHash(t, "right"), bcryptHash(t, "right")
	argonShape, cryptShape := mustParse(t, argon).shape, mustParse(t, crypt).shape
	all := []Record{
		{ID: "1", Username: "anna", PasswordHash: argon},
		{ID: "2", Username: "off", PasswordHash: argon, Disabled: true},
		{ID: "6", Username: "tab", PasswordHash: fastHash(t, "ri\tght")}, // some other program has made these
		{ID: "7", Username: "empty", PasswordHash: fastHash(t, "")},
	}
	file := func() Source { return mustFile(t, "file", all...) }
	base := func(name string, records ...Record) *fakeLookup {
		f := &fakeLookup{name: name, users: map[string]Record{}}
		for _, r := range records {
			f.users[r.Username] = r
		}
		return f
	}
	bob := Record{ID: "3", Username: "bob", PasswordHash: crypt}
	service := func() Source {
		return &fakeDelegate{known: base("service", Record{ID: "4", Username: "carol"}), password: "right"}
	}
	for _, c := range []struct {
		name               string
		sources            []Source
		username, password string
		want               []shape
	}{
		{"wrong password", []Source{file()}, "anna", "wrong", []shape{argonShape}},
		{"empty password", []Source{file()}, "anna", "", []shape{argonShape}},
		{"password that none can be", []Source{file()}, "anna", "ri\x00ght", []shape{argonShape}},
		{"password that none should have", []Source{file()}, "tab", "ri\tght", []shape{argonShape}},
		{"password that nobody has (A09)", []Source{file()}, "empty", "", []shape{argonShape}},
		{"endless password", []Source{file()}, "anna", strings.Repeat("a", 5000), []shape{argonShape}},
		{"unknown", []Source{file()}, "nobody", "right", []shape{argonShape}},
		{"disabled", []Source{file()}, "off", "right", []shape{argonShape}},
		{"disabled, wrong password", []Source{file()}, "off", "wrong", []shape{argonShape}},
		{"no user name", []Source{file()}, "two words", "right", []shape{argonShape}},
		{"another spelling", []Source{file()}, "ANNA", "right", []shape{argonShape}},
		{"no users at all", []Source{mustFile(t, "file")}, "anna", "right", []shape{defaultShape}},
		{"nobody seen yet", []Source{base("db", bob)}, "nobody", "right", []shape{defaultShape}},
		{"known to the second", []Source{file(), base("db", bob)}, "bob", "wrong", []shape{cryptShape}},
		{"known to the first", []Source{base("db", bob), file()}, "bob", "wrong", []shape{cryptShape}},
		{"no password", []Source{base("db", Record{ID: "5", Username: "eve"})}, "eve", "", []shape{defaultShape}},
		{"no password, dummy's", []Source{base("db", Record{ID: "5", Username: "eve"})}, "eve", "x", []shape{defaultShape}},
		{"foreign hash", []Source{base("db", Record{ID: "5", Username: "eve", PasswordHash: "md5"})}, "eve", "x", []shape{defaultShape}},
		{"service says no", []Source{service()}, "carol", "wrong", nil},
		{"service does not know", []Source{service()}, "nobody", "wrong", nil},
		{"service is last", []Source{file(), service()}, "nobody", "wrong", nil},
		{"service is first", []Source{service(), file()}, "nobody", "wrong", []shape{argonShape}},
		{"service is first, file knows", []Source{service(), file()}, "anna", "wrong", []shape{argonShape}},
		{"service, name that none can have", []Source{service()}, "two words", "x", []shape{defaultShape}},
	} {
		d, computed := counting(t, c.sources...)
		u, err := d.Login(t.Context(), c.username, c.password)
		if !errors.Is(err, token.ErrLogin) || err.Error() != token.ErrLogin.Error() || u.ID != "" {
			t.Errorf("%s: %+v, %v; want that and no more: %v", c.name, u, err, token.ErrLogin)
		}
		if !slices.Equal(*computed, c.want) {
			t.Errorf("%s: hashes %+v are computed, want %+v", c.name, *computed, c.want)
		}
	}
}

// A database shows what its hashes are like when users log in.
func TestA01DummyFollowsDatabase(t *testing.T) {
	crypt := bcryptHash(t, "right")
	d, computed := counting(t, &fakeLookup{name: "db", users: map[string]Record{"bob": {ID: "3", PasswordHash: crypt}}})
	for _, login := range []struct{ name, password string }{{"bob", "right"}, {"nobody", "right"}, {"bob", "wrong"}} {
		_, _ = d.Login(t.Context(), login.name, login.password)
	}
	kind := mustParse(t, crypt).shape
	if !slices.Equal(*computed, []shape{kind, kind, kind}) {
		t.Errorf("hashes %+v are computed, want three of %+v", *computed, kind)
	}
}

// Users of a file are counted once, however often they log in: who tries one of
// them again and again must not change what others look like.
func TestA01DummyIsNotSwayedByAttempts(t *testing.T) {
	argon, crypt := fastHash(t, "right"), bcryptHash(t, "right")
	d, _ := counting(t, mustFile(t, "file",
		Record{ID: "1", Username: "anna", PasswordHash: argon}, Record{ID: "2", Username: "bob", PasswordHash: crypt}))
	for range 10 {
		_, _ = d.Login(t.Context(), "bob", "wrong")
	}
	if d.shapes.total != 2 {
		t.Errorf("%d users are counted, there are 2", d.shapes.total)
	}
}

// Medians of the time that a refusal takes must not tell why.
func TestA01RefusalsTakeTheSameTime(t *testing.T) {
	hash, err := Hash("right")
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHasher(HasherConfig{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDirectory(DirectoryConfig{
		Sources: []Source{mustFile(t, "file",
			Record{ID: "1", Username: "anna", PasswordHash: hash}, Record{ID: "2", Username: "off", PasswordHash: hash, Disabled: true})},
		Hasher: h, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"anna", "off", "nobody"}
	var medians []time.Duration
	for range 5 { // another program may have the processor
		took := make([][]time.Duration, len(names))
		for range 7 {
			for i, name := range names {
				began := time.Now()
				if _, err := d.Login(t.Context(), name, "wrong"); !errors.Is(err, token.ErrLogin) {
					t.Fatal(err)
				}
				took[i] = append(took[i], time.Since(began))
			}
		}
		medians = medians[:0]
		for _, all := range took {
			slices.Sort(all)
			medians = append(medians, all[len(all)/2])
		}
		if slices.Max(medians) < slices.Min(medians)*3/2 {
			return
		}
	}
	t.Errorf("a refusal takes %v for %v", medians, names)
}

// The first source that knows the name decides, and no service hears the
// password of another's user; the look-ups are made all the same.
func TestFirstSourceDecides(t *testing.T) {
	first := &fakeLookup{name: "first", users: map[string]Record{"anna": {ID: "1", PasswordHash: fastHash(t, "one")}}}
	service := &fakeDelegate{known: &fakeLookup{name: "service", users: map[string]Record{"anna": {ID: "2"}}}, password: "two"}
	last := &fakeLookup{name: "last", users: map[string]Record{"anna": {ID: "3", PasswordHash: fastHash(t, "three")}}}
	d, _ := counting(t, first, service, last)
	for _, password := range []string{"two", "three"} {
		if u, err := d.Login(t.Context(), "anna", password); !errors.Is(err, token.ErrLogin) {
			t.Errorf("the password of another's user opens %+v: %v", u, err)
		}
	}
	if len(service.heard) != 0 {
		t.Errorf("the service hears %q", service.heard)
	}
	if first.asked != 2 || last.asked != 2 {
		t.Errorf("A01: the first is asked %d times, the last %d; time tells who knows the name", first.asked, last.asked)
	}
	last.err = errors.New("down")
	if _, err := d.Login(t.Context(), "anna", "two"); !errors.Is(err, token.ErrLogin) {
		t.Errorf("a source that has no say makes %v", err)
	}
	asked := last.asked
	if u, err := d.Login(t.Context(), "anna", "one"); err != nil || u.ID != "1" || last.asked != asked {
		t.Errorf("%+v, %v; the last was asked %d times more", u, err, last.asked-asked)
	}
}

func TestServiceIsAskedInOrder(t *testing.T) {
	service := &fakeDelegate{known: &fakeLookup{name: "service", users: map[string]Record{"carol": {ID: "4"}, "off": {ID: "5", Disabled: true}}}, password: "right"}
	d, computed := counting(t, service, mustFile(t, "file", Record{ID: "1", Username: "carol", PasswordHash: fastHash(t, "other")},
		Record{ID: "6", Username: "off", PasswordHash: fastHash(t, "right")}))
	if u, err := d.Login(t.Context(), "carol", "right"); err != nil || u.ID != "4" || u.Source != "service" || len(*computed) != 0 {
		t.Errorf("%+v, %v, hashes %v", u, err, *computed)
	}
	// What the service refuses may be another source's user of that name.
	if u, err := d.Login(t.Context(), "carol", "other"); err != nil || u.ID != "1" {
		t.Errorf("%+v, %v", u, err)
	}
	if u, err := d.Login(t.Context(), "off", "right"); !errors.Is(err, token.ErrLogin) {
		t.Errorf("a disabled user logs in as %+v, %v", u, err)
	}
}

// A source that fails is not the user's fault (A17), and no later source may
// answer for a name that it may know.
func TestSourceFails(t *testing.T) {
	down := errors.New("connection refused")
	broken := &fakeLookup{name: "db", err: down}
	d, computed := counting(t, broken, mustFile(t, "file", Record{ID: "1", Username: "anna", PasswordHash: fastHash(t, "right")}))
	_, err := d.Login(t.Context(), "anna", "right")
	if !errors.Is(err, down) || errors.Is(err, token.ErrLogin) || !strings.Contains(err.Error(), "users of db: ") || len(*computed) != 0 {
		t.Errorf("the error is %v, after %d hashes", err, len(*computed))
	}
	if _, err := d.Reread(t.Context(), token.Session{Source: "db"}); !errors.Is(err, down) || errors.Is(err, token.ErrLogin) {
		t.Errorf("the error of a refresh is %v", err)
	}
	broken.err, broken.users = nil, map[string]Record{"anna": {ID: ""}}
	if _, err := d.Login(t.Context(), "anna", "right"); err == nil || errors.Is(err, token.ErrLogin) {
		t.Errorf("a user without an id: %v", err)
	}
	if _, err := d.Reread(t.Context(), token.Session{Source: "db", Username: "anna"}); err == nil || errors.Is(err, token.ErrLogin) {
		t.Errorf("a user without an id, in a refresh: %v", err)
	}
}

func TestLoginIsBusy(t *testing.T) {
	d, _ := counting(t, mustFile(t, "file", Record{ID: "1", Username: "anna", PasswordHash: fastHash(t, "right")}))
	d.cfg.Hasher.waiting = make([]*turn, waitingPerThread*d.cfg.Hasher.threads())
	d.cfg.Hasher.running = load{threads: 1000}
	for _, name := range []string{"anna", "nobody"} {
		if _, err := d.Login(t.Context(), name, "right"); !errors.Is(err, token.ErrBusy) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReread(t *testing.T) {
	db := &fakeLookup{name: "db", users: map[string]Record{
		"anna": {ID: "1", Email: "new@example.com"}, "off": {ID: "2", Disabled: true},
	}}
	other := &fakeLookup{name: "other", users: map[string]Record{"anna": {ID: "1"}, "bob": {ID: "3"}}}
	d, _ := counting(t, other, db)
	u, err := d.Reread(t.Context(), token.Session{Source: "db", Username: "anna", Subject: "1"})
	if err != nil || u.Email != "new@example.com" || u.Source != "db" || u.Username != "anna" || other.asked != 0 {
		t.Errorf("%+v, %v", u, err)
	}
	for name, s := range map[string]token.Session{
		"another user has the name": {Source: "db", Username: "anna", Subject: "9"},
		"disabled":                  {Source: "db", Username: "off", Subject: "2"},
		"gone":                      {Source: "db", Username: "bob", Subject: "3"},
	} {
		if u, err := d.Reread(t.Context(), s); !errors.Is(err, token.ErrLogin) || u.ID != "" {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
	// A source that this replica does not have is no reason to end the session.
	if u, err := d.Reread(t.Context(), token.Session{Source: "ldap", Username: "anna", Subject: "1"}); err == nil || errors.Is(err, token.ErrLogin) || u.ID != "" {
		t.Errorf("source gone: %+v, %v", u, err)
	}
}

func TestUnusableHashIsLogged(t *testing.T) {
	d, _ := counting(t, &fakeLookup{name: "db", users: map[string]Record{
		"eve": {ID: "5", PasswordHash: "5f4dcc3b5aa765d61d8327deb882cf99"}, "none": {ID: "6"},
	}})
	var log bytes.Buffer
	d.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	_, _ = d.Login(t.Context(), "none", "password")
	if log.Len() > 0 {
		t.Errorf("a user without a password is logged: %s", &log)
	}
	_, _ = d.Login(t.Context(), "eve", "password")
	if s := log.String(); !strings.Contains(s, "user=5") || !strings.Contains(s, "source=db") || strings.Contains(s, "5f4dcc") {
		t.Errorf("the log says %s", s)
	}
}

func TestNewDirectory(t *testing.T) {
	h, _ := NewHasher(HasherConfig{Limit: 1})
	log := slog.New(slog.DiscardHandler)
	one := mustFile(t, "users.yaml")
	for name, cfg := range map[string]DirectoryConfig{
		"no sources":   {Hasher: h, Log: log},
		"no hasher":    {Sources: []Source{one}, Log: log},
		"no log":       {Sources: []Source{one}, Hasher: h},
		"a name twice": {Sources: []Source{one, mustFile(t, "users.yaml")}, Hasher: h, Log: log},
	} {
		if _, err := NewDirectory(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
