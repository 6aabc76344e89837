package users

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gatehouse/auth/token"
)

// File is a list of users. What was read is not read again: another content
// makes another File.
type File struct {
	name    string
	records []Record
	byName  map[string]int // index by canonical user name and e-mail address
	byID    map[string]int
	parsed  []PasswordHash
}

var _ lookup = (*File)(nil)

// RecordError is what is wrong with one of the users.
type RecordError struct {
	Index int    // of the record
	Field string // as the users file calls it
	Err   error
}

// Error says which user it is by its place.
func (e RecordError) Error() string { return fmt.Sprintf("user %d: %s: %v", e.Index+1, e.Field, e.Err) }

// RecordErrors are all that is wrong with a list of users.
type RecordErrors []RecordError

// Error has one line for each.
func (e RecordErrors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// NewFile returns a source with those users. An error is of type RecordErrors
// and tells everything that is wrong with them.
func NewFile(name string, records []Record) (*File, error) {
	f := &File{name: name, records: slices.Clone(records), byName: map[string]int{}, byID: map[string]int{}}
	f.parsed = []PasswordHash{} // known to be none, where there is none
	var wrong RecordErrors
	for i := range f.records {
		wrong = append(wrong, f.add(i)...)
	}
	if wrong != nil {
		return nil, wrong
	}
	return f, nil
}

// add takes the user at that index into the maps.
func (f *File) add(i int) (wrong RecordErrors) {
	fault := func(field, format string, args ...any) {
		wrong = append(wrong, RecordError{i, field, fmt.Errorf(format, args...)})
	}
	r := f.records[i]
	if field, err := r.fault(); err != nil {
		fault(field, "%w", err)
	}
	if first, ok := f.byID[r.ID]; ok {
		fault("id", "is that of user %d too", first+1)
	}
	f.byID[r.ID] = i
	if r.Username == "" && r.Email == "" {
		fault("username", "is missing, and there is no email to log in with")
	}
	for _, login := range []struct{ field, name string }{{"username", r.Username}, {"email", r.Email}} {
		if login.name == "" {
			continue
		}
		canonical, ok := token.CanonicalUsername(login.name)
		if first, taken := f.byName[canonical]; !ok {
			fault(login.field, "cannot be a login name: use letters, digits and signs, without spaces")
		} else if taken && first != i {
			fault(login.field, "is a login name of user %d too", first+1)
		} else {
			f.byName[canonical] = i
		}
	}
	h, err := ParseHash(r.PasswordHash)
	if err != nil {
		fault("password_hash", "%w", err)
	}
	f.parsed = append(f.parsed, h)
	for claim := range r.Claims {
		if token.ReservedClaim(claim) {
			fault("claims."+claim, "is set by the token service itself")
		}
	}
	return wrong
}

// Name implements Source.
func (f *File) Name() string { return f.name }

func (f *File) find(_ context.Context, username string) (Record, error) {
	i, ok := f.byName[username]
	if !ok {
		return Record{}, errUnknown
	}
	return f.records[i], nil
}

// reread goes by the id, so that a login name may change.
func (f *File) reread(_ context.Context, s token.Session) (Record, error) {
	i, ok := f.byID[s.Subject]
	if !ok {
		return Record{}, errUnknown
	}
	return f.records[i], nil
}

func (f *File) hashes() (all []PasswordHash, secret string) {
	if len(f.records) > 0 {
		secret = f.records[0].PasswordHash
	}
	return f.parsed, secret
}
