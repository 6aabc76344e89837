package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// Each kind shuts out what it names, and nothing else.
func TestRevocationKinds(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url, nil)
		now := time.Now().Unix()
		nameless := token(t, map[string]any{"jti": nil, "sub": "nameless"})
		digest := sha256.Sum256([]byte(nameless[:strings.LastIndexByte(nameless, '.')]))
		at := func(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
		with := func(changes map[string]any) string { return token(t, changes) }
		for _, row := range []struct {
			name, body     string
			revoked, valid []string
		}{
			{"jti", `{"kind":"jti","id":"j1"}`, []string{with(map[string]any{"jti": "j1"})}, []string{with(map[string]any{"jti": "J1"}), with(map[string]any{"jti": "j2", "sub": "j1"})}},
			{"jti of a token without one", fmt.Sprintf(`{"kind":"jti","id":%q}`, hex.EncodeToString(digest[:])), []string{nameless}, []string{with(map[string]any{"jti": nil, "sub": "other"})}},
			{"jti that began a session", `{"kind":"jti","id":"root"}`, []string{with(map[string]any{"jti": "root"}), with(map[string]any{"jti": "later", "sid": "root"})}, nil},
			{"sid", `{"kind":"sid","id":"s1","issuer":"main"}`, []string{with(map[string]any{"sid": "s1"}), with(map[string]any{"sid": "s1", "sub": "bob"}), with(map[string]any{"jti": "s1"})}, []string{with(map[string]any{"sid": "s2"})}},
			{
				"sid before", fmt.Sprintf(`{"kind":"sid","id":"s3","before":%q}`, at(now-100)),
				[]string{with(map[string]any{"sid": "s3", "iat": now - 100}), with(map[string]any{"sid": "s3", "auth_time": now - 101})},
				[]string{with(map[string]any{"sid": "s3", "iat": now - 99})},
			},
			{"sub", `{"kind":"sub","id":"mallory"}`, []string{with(map[string]any{"sub": "mallory"})}, []string{with(map[string]any{"sub": "Mallory"})}},
			{
				"sub before", fmt.Sprintf(`{"kind":"sub","id":"carol","before":%q}`, at(now-100)),
				[]string{
					with(map[string]any{"sub": "carol", "iat": now - 100}), with(map[string]any{"sub": "carol", "iat": now - 500}),
					with(map[string]any{"sub": "carol", "iat": now - 10, "auth_time": now - 100}), with(map[string]any{"sub": "carol", "iat": nil}),
				},
				[]string{with(map[string]any{"sub": "carol", "iat": now - 99}), with(map[string]any{"sub": "carol", "iat": now - 10, "auth_time": now - 99})},
			},
			{"client", `{"kind":"client","id":"c1"}`, []string{with(map[string]any{"client_id": "c1"}), with(map[string]any{"azp": "c1"})}, []string{with(map[string]any{"client_id": "c2", "azp": "c1"})}},
			{
				"issuer before", fmt.Sprintf(`{"kind":"issuer","id":"main","before":%q}`, at(now-1000)),
				[]string{with(map[string]any{"iat": now - 1000}), with(map[string]any{"iat": now - 2000})},
				[]string{with(map[string]any{"iat": now - 999})},
			},
		} {
			for _, tok := range append(row.revoked, row.valid...) {
				if a := w.Send(t, rig.Get("/plain/", keyLine, bearer(tok))); a.Status != 200 {
					t.Fatalf("%s, before: %d %s", row.name, a.Status, a.Body)
				}
			}
			w.revoke(t, row.body)
			for _, tok := range row.revoked {
				raw := rig.Get("/plain/", keyLine, bearer(tok))
				w.eventually(t, raw, 401)
				w.up.Take()
				w.Send(t, raw).Refused(t, 401, "token_revoked")
				w.up.Nothing(t)
			}
			for _, tok := range row.valid {
				if a := w.Send(t, rig.Get("/plain/", keyLine, bearer(tok))); a.Status != 200 {
					t.Errorf("%s reaches too far: %d %s", row.name, a.Status, a.Body)
				}
			}
		}
		w.revoke(t, `{"kind":"api_key","id":"lost"}`)
		w.eventually(t, rig.Get("/key/", "Api-Key: "+lostKey), 401)
		if a := w.Send(t, rig.Get("/key/", keyLine)); a.Status != 200 {
			t.Errorf("another key: %d", a.Status)
		}
		later := with(map[string]any{"sub": "mallory", "iat": time.Now().Unix() + 2})
		if a := w.Send(t, rig.Get("/plain/", keyLine, bearer(later))); a.Status != 200 {
			t.Errorf("a session of the revoked subject begun later: %d %s", a.Status, a.Body)
		}
		var list struct {
			Revocations []struct{ Kind, ID, Issuer, Until string }
		}
		a := w.AdminCall(t, "GET", "/v1/revocations", "")
		if err := json.Unmarshal([]byte(a.Body), &list); err != nil || len(list.Revocations) != 10 {
			t.Errorf("listed: %v %s", err, a.Body)
		}
	})
}

// Logging out any token of a session ends all that was renewed in it, and a
// renewal that is under way.
func TestLogoutEndsTheSession(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url, nil)
		first := token(t, map[string]any{"jti": "login"})
		all := []string{first}
		for range 3 {
			all = append(all, w.Send(t, rig.Get("/orders/", keyLine, bearer(all[len(all)-1]))).Token())
		}
		if sid := payloadOf(t, all[3])["sid"]; sid != "login" {
			t.Fatalf("sid %v", sid)
		}
		arrived, release := make(chan struct{}), make(chan struct{})
		w.up.Handle(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/orders/wait" {
				close(arrived)
				<-release
			}
		})
		underWay := make(chan rig.Answer, 1)
		go func() { underWay <- w.Send(t, rig.Get("/orders/wait", keyLine, bearer(all[2]))) }()
		<-arrived
		w.revoke(t, `{"kind":"sid","id":"login"}`)
		for i, tok := range all {
			raw := rig.Get("/orders/", keyLine, bearer(tok))
			w.eventually(t, raw, 401)
			w.Send(t, raw).Refused(t, 401, "token_revoked")
			if tok == "" {
				t.Fatalf("token %d is empty", i)
			}
		}
		close(release)
		if a := <-underWay; a.Status != 200 || a.Token() != "" {
			t.Errorf("a renewal under way: %d, renewed %q", a.Status, a.Token())
		}
	})
}

// A revocation that was acknowledged holds on a replica that was not there
// then, and on every other.
func TestRevocationIsEverywhere(t *testing.T) {
	t.Parallel()
	redis := newRedis(t)
	first := start(t, redis.URL(), nil)
	second := start(t, redis.URL(), nil)
	raw := rig.Get("/plain/", keyLine, bearer(token(t, map[string]any{"sid": "everywhere"})))
	if a := second.Send(t, raw); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	first.revoke(t, `{"kind":"sid","id":"everywhere"}`)
	second.eventually(t, raw, 401)
	third := start(t, redis.URL(), nil)
	third.Send(t, raw).Refused(t, 401, "token_revoked")
}

func TestRevocationRequests(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	for body, want := range map[string]int{
		`{"kind":"sid","id":"a"}`: 201, `{"kind":"sid","id":"a","ttl":"1h"}`: 201, `{"kind":"sub","id":"a","before":"2026-01-01T00:00:00Z","ttl":"1h"}`: 201,
		`{"kind":"nothing","id":"a"}`: 400, `{"kind":"sid"}`: 400, `{"kind":"sid","id":""}`: 400, `{"kind":"sid","id":"a","issuer":"other"}`: 400, `{"kind":"issuer","id":"other"}`: 400,
		`{"kind":"sid","id":"a","before":"2026-01-01T00:00:00Z"}`: 201, `{"kind":"sub","id":"a","before":"2226-01-01T00:00:00Z"}`: 400, `{"kind":"sub","id":"a","before":"yesterday"}`: 400, `{"kind":"sid","id":"a","ttl":"-1h"}`: 400, `{"kind":"sid","id":"a","ttl":"0s"}`: 400,
		`{"kind":"sid","id":"a","ttl":3600}`: 400, `{"kind":"sid","id":"a","x":1}`: 400, `{"kind":"sid","kind":"sub","id":"a"}`: 400, `{"Kind":"sid","id":"a"}`: 400, `[]`: 400, `{`: 400, `{"kind":"sid","id":"a"}{}`: 400,
		`{"kind":"sid","id":"` + strings.Repeat("a", 1025) + `"}`: 400, `{"kind":"sid","id":"` + strings.Repeat("a", 20000) + `"}`: 413,
	} {
		if a := w.AdminCall(t, "POST", "/v1/revocations", body); a.Status != want {
			t.Errorf("%.60s: %d %s, want %d", body, a.Status, a.Body, want)
		}
	}
	a := w.AdminCall(t, "POST", "/v1/revocations", `{"kind":"sub","id":"b"}`)
	var entry struct {
		Kind, ID, Issuer string
		Before, Until    time.Time
	}
	if err := json.Unmarshal([]byte(a.Body), &entry); err != nil {
		t.Fatal(err)
	}
	if entry.Kind != "sub" || entry.ID != "b" || entry.Issuer != "main" || time.Since(entry.Before).Abs() > 10*time.Second || (time.Until(entry.Until)-24*time.Hour).Abs() > time.Minute {
		t.Errorf("%s", a.Body)
	}
}
