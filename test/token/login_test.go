package token_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// attempt is a login that is to fail, by default for its password.

func (w *world) attempt(t testing.TB, name string, lines ...string) rig.Answer {
	t.Helper()
	return w.post(t, tokenPath, "grant_type=password&client_id=spa&password=wrong&username="+url.QueryEscape(name), lines...)
}

// good is a login of jane's.

func (w *world) good(t testing.TB, lines ...string) rig.Answer {
	t.Helper()
	return w.post(t, tokenPath, jane+"&client_id=spa", lines...)
}

// Unknown user, wrong password and disabled user take the same time. All hashes

// of the file cost the same here, so that there is one time to compare with.

func TestA01SameTime(t *testing.T) {
	w := start(t, "memory:", func(c *rig.Config) {
		hash := rig.Users[strings.Index(rig.Users, `"$argon2id$v=19$m=19456`):]
		hash = hash[:strings.Index(hash, "\n")]
		lines := strings.Split(rig.Users, "\n")
		for i, line := range lines {
			if before, _, found := strings.Cut(line, `"$`); found {
				lines[i] = before + hash
			}
		}
		c.Files["users.yaml"] = strings.Join(lines, "\n")
	})
	names := []string{"jane", "nobody", "mallory"}
	const samples, within, tries = 15, 1.5, 5
	var medians []time.Duration
	for range tries {
		times := make([][]time.Duration, len(names))
		for range samples {
			for i, name := range names { // in turn, so that other work on the machine meets all
				began := time.Now()
				refused(t, w.attempt(t, name), 400, "invalid_grant")
				times[i] = append(times[i], time.Since(began))
			}
		}
		medians = nil
		for i := range times {
			slices.Sort(times[i])
			medians = append(medians, times[i][samples/2])
		}
		if float64(slices.Max(medians)) <= within*float64(slices.Min(medians)) && slices.Min(medians) > 5*time.Millisecond {
			return
		}
	}
	t.Errorf("medians of %q: %v", names, medians)
}

// They get the same answer, to the byte, in every dialect.

func TestA02SameAnswer(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	for dialect, login := range map[string]func(name, password string) rig.Answer{
		"oauth2": func(name, password string) rig.Answer {
			return w.post(t, tokenPath, "grant_type=password&client_id=spa&username="+url.QueryEscape(name)+"&password="+url.QueryEscape(password))
		},
		"jsonapi": func(name, password string) rig.Answer {
			return w.post(t, apiPath, jsonOf(t, "username", name, "password", password), keyLine)
		},
		"password_form": func(name, password string) rig.Answer {
			return w.post(t, "/auth/jwt/login", "grant_type=password&username="+url.QueryEscape(name)+"&password="+url.QueryEscape(password))
		},
		"envelope": func(name, password string) rig.Answer {
			return w.post(t, "/v1/login", jsonOf(t, "email", name, "password", password))
		},
	} {
		if a := login("jane@example.com", rig.JanePassword); a.Status != 200 {
			t.Fatalf("%s: %d %s", dialect, a.Status, a.Body)
		}
		plain := func(a rig.Answer) string {
			tokenless(t, a)
			for _, name := range []string{"Date", "X-Request-Id"} {
				a.Header.Del(name)
			}
			return fmt.Sprint(a.Status, a.Header, a.Body)
		}
		want := plain(login("jane", "wrong"))
		for _, row := range [][2]string{
			{"jane", rig.JanePassword + " "},
			{"jane", strings.ToUpper(rig.JanePassword)},
			{"jane@example.com", "wrong"},
			{"nobody", "wrong"},
			{"nobody", rig.JanePassword},
			{"nobody@example.com", "wrong"},
			{"mallory", rig.MalloryPassword},
			{"mallory", "wrong"},
			{"mallory@example.com", rig.MalloryPassword},
			{"bob", "wrong"},
			{"bob", strings.Repeat("x", 80)},
			{"user-123", rig.JanePassword},
			{"*", "*"},
			{"jane\u0000", rig.JanePassword},
			{"jane' or '1'='1", "wrong"},
			{strings.Repeat("j", 300), "wrong"},
		} {
			if got := plain(login(row[0], row[1])); got != want {
				t.Errorf("%s, %q:\n got %s\nwant %s", dialect, row[0], got, want)
			}
		}
	}
}

// jsonOf is a JSON object of names and values in turn.

func jsonOf(t *testing.T, pairs ...string) string {
	t.Helper()
	all := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// An account's limit is one for all replicas and exact, whatever comes at once.

// Only failures count, and an hour's limit ends with its window.

// All ways to write a name share its limit.

// An attacker cannot lock the owner out, who comes from another address.

// A flood of logins is answered with refusals, and does not stop the traffic.

// What is too long is refused before it is hashed.

func TestA07LongPassword(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	for n, want := range map[int]int{1025: 400, 8000: 400, 15000: 400, 17000: 413} {
		a := w.post(t, tokenPath, "grant_type=password&client_id=spa&username=jane&password="+strings.Repeat("x", n))
		refused(t, a, want, "invalid_request")
	}
}

// One password has several spellings in Unicode, and an empty one is none.

func TestA09PasswordIsNormalised(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", func(c *rig.Config) {
		c.Files["users.yaml"] = strings.Replace(rig.Users, "disabled: true", "disabled: false", 1)
	})
	as := func(password string) rig.Answer {
		return w.post(t, tokenPath, "grant_type=password&client_id=spa&username=mallory&password="+url.QueryEscape(password))
	}
	for _, password := range []string{"cr\u00e8me br\u00fbl\u00e9e", "cre\u0300me bru\u0302le\u0301e"} {
		if a := as(password); a.Status != 200 {
			t.Errorf("%+q: %d %s", password, a.Status, a.Body)
		}
	}
	refused(t, as(""), 400, "invalid_request")
	for _, password := range []string{"creme brulee", "CR\u00c8ME BR\u00dbL\u00c9E", "cr\u00e8me br\u00fbl\u00e9e\x00", "\x00", " ", "\xff"} {
		a := as(password)
		if a.Status != 400 {
			t.Errorf("%+q: %d %s", password, a.Status, a.Body)
		}
		tokenless(t, a)
	}
}
