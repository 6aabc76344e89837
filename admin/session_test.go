package admin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// sessionStore is the fake's side that keeps sessions.
type sessionStore struct{ f *fake }

func (s sessionStore) Sessions(_ context.Context, issuer, subject string) ([]token.Session, error) {
	return slices.DeleteFunc(slices.Clone(s.f.sessions), func(x token.Session) bool {
		return x.Issuer != issuer || x.Subject != subject
	}), s.f.storeErr
}

func (s sessionStore) Session(_ context.Context, id string) (token.Session, error) {
	if s.f.storeErr != nil {
		return token.Session{}, s.f.storeErr
	}
	for _, x := range s.f.sessions {
		if x.ID == id {
			return x, nil
		}
	}
	return token.Session{}, token.ErrNoSession
}

func (s sessionStore) EndSession(_ context.Context, id string) error {
	if len(s.f.revoked) == 0 {
		panic("a session is forgotten before it is revoked")
	}
	s.f.ended = append(s.f.ended, id)
	return s.f.storeErr
}

// Covers, Confirm and Stale make the fake a revocation list of what it was told.
func (f *fake) Covers(_ auth.Kind, key auth.RevocationKey, begun, _ int64) auth.Coverage {
	if slices.ContainsFunc(f.revoked, func(r auth.Revocation) bool {
		return r.Key() == key && begun <= int64(r.BeforeSeconds())
	}) {
		return auth.Covered
	}
	return auth.NotCovered
}

func (f *fake) Confirm(_ context.Context, r auth.Revocation, begun, now int64) (auth.Coverage, error) {
	if f.listErr != nil {
		return auth.Unsure, f.listErr
	}
	return f.Covers(r.Kind, r.Key(), begun, now), nil
}

func (f *fake) Stale(time.Time) bool { return false }

func session(id, issuer, subject string, ago time.Duration) token.Session {
	at := now.Add(-ago).Truncate(time.Second)
	return token.Session{
		ID: id, Issuer: issuer, Subject: subject, ClientID: "web", Scopes: []string{"read"}, Address: "192.0.2.1",
		AuthTime: at, Refreshed: at.Add(time.Minute), Expires: at.Add(24 * time.Hour),
	}
}

func TestListSessions(t *testing.T) {
	f := newFake()
	f.issuers = append(f.issuers, &auth.Issuer{Name: "partner", MaxTokenLife: time.Hour})
	f.sessions = []token.Session{
		session("s1", "main", "alice", 3*time.Hour), session("s2", "partner", "alice", time.Hour), session("s3", "main", "alice", 2*time.Hour),
		session("s4", "main", "bob", time.Hour), session("s5", "main", "alice", time.Minute),
	}
	f.revoked = []auth.Revocation{{Kind: auth.KindSession, Issuer: "main", ID: "s5"}}
	list := func(query string) (ids []string) {
		for _, s := range wantJSON[map[string][]sessionAnswer](t, f.call(t, "GET", "/v1/sessions?"+query, ""), 200)["sessions"] {
			ids = append(ids, s.ID)
		}
		return ids
	}
	for query, want := range map[string]string{
		"subject=alice": "s2 s3 s1", "subject=alice&issuer=main": "s3 s1", "subject=bob": "s4", "subject=carol": "",
	} {
		if got := strings.Join(list(query), " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	body := f.call(t, "GET", "/v1/sessions?subject=bob", "").Body.String()
	if want := `{"sessions":[{"sid":"s4","issuer":"main","sub":"bob","client_id":"web","scopes":["read"],"address":"192.0.2.1",` +
		`"auth_time":"2026-05-04T11:00:00Z","refreshed":"2026-05-04T11:01:00Z","expires":"2026-05-05T11:00:00Z"}]}` + "\n"; body != want {
		t.Errorf("got %s\nwant %s", body, want)
	}
	f.listErr = errors.New("what the list is unsure of cannot be asked")
	wantProblem(t, f.call(t, "GET", "/v1/sessions?subject=bob", ""), 503, "store_unavailable")
	f.listErr = nil
	for query, want := range map[string]string{"": "subject", "issuer=main": "subject", "subject=alice&issuer=x": "issuer"} {
		if detail := wantProblem(t, f.call(t, "GET", "/v1/sessions?"+query, ""), 400, "request_malformed"); !strings.HasPrefix(detail, want+":") {
			t.Errorf("%s: %s", query, detail)
		}
	}
	f.storeErr = context.DeadlineExceeded
	wantProblem(t, f.call(t, "GET", "/v1/sessions?subject=alice", ""), 503, "store_unavailable")
}

func TestEndSession(t *testing.T) {
	for _, test := range []struct{ target, issuer string }{
		{"/v1/sessions/s2", "partner"},          // the session says whose it is
		{"/v1/sessions/s9?issuer=main", "main"}, // one that is not kept here
		{"/v1/sessions/s2?issuer=main", "partner"},
	} {
		f := newFake()
		f.issuers = append(f.issuers, &auth.Issuer{Name: "partner", MaxTokenLife: time.Hour})
		f.sessions = []token.Session{session("s2", "partner", "alice", time.Hour)}
		if w := f.call(t, "DELETE", test.target, ""); w.Code != 204 {
			t.Fatalf("%s: %d %s", test.target, w.Code, w.Body)
		}
		id := strings.TrimPrefix(strings.Split(test.target, "?")[0], "/v1/sessions/")
		if len(f.revoked) != 1 || f.revoked[0].Kind != auth.KindSession || f.revoked[0].ID != id || f.revoked[0].Issuer != test.issuer {
			t.Errorf("%s: revoked %+v", test.target, f.revoked)
		}
		if !slices.Equal(f.ended, []string{id}) {
			t.Errorf("%s: ended %v", test.target, f.ended)
		}
	}
	f := newFake()
	f.issuers = append(f.issuers, &auth.Issuer{Name: "partner"})
	wantProblem(t, f.call(t, "DELETE", "/v1/sessions/s9", ""), 400, "request_malformed") // whose?
	f.storeErr = context.DeadlineExceeded
	wantProblem(t, f.call(t, "DELETE", "/v1/sessions/s9", ""), 503, "store_unavailable")
	if len(f.revoked)+len(f.ended) > 0 {
		t.Errorf("revoked %v, ended %v", f.revoked, f.ended)
	}
}
