package token_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/test/rig"
)

func TestA03LimitHolds(t *testing.T) {
	t.Parallel()
	const limit = 5
	one, two, _ := pair(t, set("PER_ACCOUNT", fmt.Sprint(limit, "/5m")))
	var checked, limited atomic.Int32
	try := func(w *world) {
		switch a := w.attempt(t, "jane"); a.Status {
		case 400:
			checked.Add(1)
			refused(t, a, 400, "invalid_grant")
		case 429:
			limited.Add(1)
			if a.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			tokenless(t, a)
		default:
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() { try([]*world{one, two}[i%2]) })
	}
	group.Wait()
	if n := checked.Load(); n > limit {
		t.Errorf("%d passwords were checked, the limit is %d", n, limit)
	}
	for range 2 * limit { // some of the others found the hashers busy, which is no attempt
		try(one)
		try(two)
	}
	if n := checked.Load(); n != limit {
		t.Errorf("%d passwords were checked, the limit is %d", n, limit)
	}
	for _, w := range []*world{one, two} {
		if a := w.good(t); a.Status != 429 { // else an attacker would learn of the right one
			t.Errorf("the right password, over the limit: %d %s", a.Status, a.Body)
		}
		if a := w.attempt(t, "bob"); a.Status != 400 {
			t.Errorf("another account: %d %s", a.Status, a.Body)
		}
	}
	if seconds, err := time.ParseDuration(one.good(t).Header.Get("Retry-After") + "s"); err != nil || seconds < time.Second || seconds > 5*time.Minute {
		t.Errorf("Retry-After is %v, %v", seconds, err)
	}
}

func TestA03LimitIsOfFailures(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url, set("PER_ACCOUNT", "3/3s"), set("PER_IP", "3/3s"))
		for range 6 {
			if a := w.good(t); a.Status != 200 {
				t.Fatalf("a good login: %d %s", a.Status, a.Body)
			}
		}
		// At once: one after the other they could take longer than the limit's time, on
		// a machine that is too busy to hash.
		var failures sync.WaitGroup
		var limited atomic.Int32
		for range 3 + 5 {
			failures.Go(func() {
				if w.attempt(t, "jane").Status == 429 {
					limited.Add(1)
				}
			})
		}
		failures.Wait()
		if limited.Load() == 0 {
			t.Error("there is no limit of failures")
		}
		rig.Eventually(t, "let in again", func() bool { return w.good(t).Status == 200 })
	})
}

func TestA04NameIsCanonical(t *testing.T) {
	t.Parallel()
	for kind, names := range map[string][]string{
		"case":              {"jane", "JANE", "Jane", "jAnE", "janE", "JaNe"},
		"full width":        {"jane", "ｊａｎｅ", "ＪＡＮＥ", "jaｎe", "JANe", "ｊane"},
		"email":             {"jane@example.com", "JANE@example.com", "jane@EXAMPLE.com", "Jane@Example.Com", "ｊane@example.com", "jane@example.COM"},
		"unknown, by case":  {"nobody", "NOBODY", "Nobody", "nobodY", "nOBODY", "NoBody"},
		"unknown, composed": {"ren\u00e9e", "rene\u0301e", "REN\u00c9E", "RENE\u0301E", "Ren\u00e9e", "Rene\u0301e"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := start(t, "memory:", set("PER_ACCOUNT", "5/5m"))
			if !strings.HasPrefix(kind, "unknown") {
				for _, name := range names {
					if a := w.post(t, tokenPath, "grant_type=password&client_id=spa&password=correct+horse&username="+url.QueryEscape(name)); a.Status != 200 {
						t.Errorf("%q is another user: %d %s", name, a.Status, a.Body)
					}
				}
			}
			for i, name := range names {
				want := map[bool]int{true: 400, false: 429}[i < 5]
				if a := w.attempt(t, name); a.Status != want {
					t.Errorf("attempt %d, as %q: %d %s, want %d", i+1, name, a.Status, a.Body, want)
				}
			}
		})
	}
}

func TestA05OwnerIsNotLockedOut(t *testing.T) {
	t.Parallel()
	from := func(address string) string { return "X-Forwarded-For: " + address }
	w := start(t, "memory:", set("PER_ACCOUNT", "5/5m"), set("PER_IP", "8/5m"))
	for i := range 20 {
		want := map[bool]int{true: 400, false: 429}[i < 5]
		if a := w.attempt(t, "jane", from("198.51.100.1")); a.Status != want {
			t.Errorf("attempt %d: %d, want %d", i+1, a.Status, want)
		}
	}
	if a := w.good(t, from("198.51.100.1")); a.Status != 429 {
		t.Errorf("the right password from the attacker's address: %d", a.Status)
	}
	if a := w.good(t, from("203.0.113.9")); a.Status != 200 {
		t.Errorf("the owner, elsewhere: %d %s", a.Status, a.Body)
	}

	// One address, many accounts; a user of IPv6 has a whole /64.
	for i, address := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::", "2001:db8::3", "2001:db8::4", "2001:db8::5", "2001:db8::6", "2001:db8::7"} {
		if a := w.attempt(t, fmt.Sprint("user", i), from(address)); a.Status != 400 {
			t.Errorf("from %s: %d", address, a.Status)
		}
	}
	if a := w.attempt(t, "user9", from("2001:db8::8")); a.Status != 429 {
		t.Errorf("the /64 has no limit: %d", a.Status)
	}
	if a := w.attempt(t, "user9", from("2001:db8:0:1::1")); a.Status != 400 {
		t.Errorf("another /64: %d", a.Status)
	}

	// A client that is no trusted proxy cannot say who it is.
	direct := start(t, "memory:", set("PER_IP", "3/5m"), replace("trusted_proxies: [127.0.0.1/32]", "trusted_proxies: []"))
	for i := range 6 {
		want := map[bool]int{true: 400, false: 429}[i < 3]
		if a := direct.attempt(t, fmt.Sprint("user", i), from(fmt.Sprint("198.51.100.", i))); a.Status != want {
			t.Errorf("attempt %d with a forged address: %d, want %d", i+1, a.Status, want)
		}
	}
}

func TestA07FloodOfLogins(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", set("PER_ACCOUNT", "off"), set("PER_IP", "off"))
	access := w.login(t).Access
	var logins, traffic sync.WaitGroup
	var checked, busy, served atomic.Int32
	done := make(chan struct{})
	for range 2 {
		traffic.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					w.alive(t, access)
					served.Add(1)
				}
			}
		})
	}
	for i := range 200 {
		logins.Go(func() {
			switch a := w.attempt(t, fmt.Sprint("user", i)); a.Status {
			case 400:
				checked.Add(1)
			case 429:
				busy.Add(1)
				if a.Header.Get("Retry-After") == "" {
					t.Error("429 without Retry-After")
				}
			default:
				t.Errorf("a login is answered %d %s", a.Status, a.Body)
			}
		})
	}
	logins.Wait()
	close(done)
	traffic.Wait()
	t.Logf("%d logins were checked, %d refused; %d requests were served meanwhile", checked.Load(), busy.Load(), served.Load())
	if checked.Load() == 0 || served.Load() == 0 {
		t.Error("nobody was served")
	}
	rig.Eventually(t, "well again", func() bool { return w.good(t).Status == 200 })
}
