package contract

import (
	"encoding/json"
	"maps"
	"net"
	"strings"
	"syscall"
	"testing"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

func newRedis(t *testing.T) *storetest.Redis { return storetest.StartRedis(t) }

// kill ends a Redis, which loses everything, and returns how to start it again.
// Until then its port is held: a process of another test could take it.
func kill(t *testing.T, redis *storetest.Redis) (restart func()) {
	t.Helper()
	redis.Kill()
	l, err := net.Listen("tcp", redis.Addr)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return func() {
		t.Helper()
		_ = l.Close()
		redis.Start(t)
	}
}

// What is known to be revoked is refused also while the list is too old; what
// is not known is, or is not, as the configuration says. When the store is back
// all is well again.
func TestStaleList(t *testing.T) {
	for _, when := range []string{"deny", "allow"} {
		for _, how := range []string{"stopped", "killed"} {
			t.Run(when+" "+how, func(t *testing.T) {
				t.Parallel()
				redis := newRedis(t)
				w := start(t, redis.URL(), func(c *rig.Config) {
					maps.Copy(c.Env, map[string]string{"STALENESS": "1s", "WHEN_STALE": when})
				})
				revoked := rig.Get("/orders/", keyLine, bearer(token(t, map[string]any{"sid": "gone"})))
				good := rig.Get("/orders/", keyLine, bearer(token(t, nil)))
				w.revoke(t, `{"kind":"sid","id":"gone"}`)
				w.eventually(t, revoked, 401)
				var resume func()
				if how == "killed" {
					resume = kill(t, redis)
				} else {
					redis.Signal(t, syscall.SIGSTOP)
					resume = func() { redis.Signal(t, syscall.SIGCONT) }
				}
				rig.Eventually(t, "stale", func() bool { return age(t, w) > 1 })
				if body := w.AdminCall(t, "GET", "/v1/status", "").Body; !strings.Contains(body, `"stale":true`) {
					t.Errorf("the status does not say that the list is stale: %s", body)
				}
				w.up.Take()
				w.Send(t, revoked).Refused(t, 401, "token_revoked")
				w.up.Nothing(t)
				a := w.Send(t, good)
				if when == "allow" {
					if a.Status != 200 {
						t.Errorf("when_stale: allow: %d %s", a.Status, a.Body)
					}
				} else {
					a.Refused(t, 503, "revocation_stale")
					if a.Header.Get("Retry-After") == "" || a.Header.Get("Www-Authenticate") != "" {
						t.Errorf("%v", a.Header)
					}
					w.up.Nothing(t)
				}
				w.up.Take()
				w.Send(t, rig.Get("/orders/", "Api-Key: wrong")).Refused(t, 401, "api_key_invalid")
				if a := w.Send(t, rig.Get("/open/")); a.Status != 200 {
					t.Errorf("an open route: %d", a.Status)
				}
				if a := w.AdminCall(t, "GET", "/readyz", ""); a.Status != 200 || !strings.Contains(a.Body, "degraded") {
					t.Errorf("readyz: %d %s", a.Status, a.Body)
				}
				refused := w.AdminCall(t, "POST", "/v1/revocations", `{"kind":"sid","id":"x"}`)
				if refused.Status != 503 || !strings.Contains(refused.Body, `"store_unavailable"`) || refused.Header.Get("Retry-After") == "" {
					t.Errorf("revoking without a store: %d %s", refused.Status, refused.Body)
				}
				if m := w.AdminCall(t, "GET", "/metrics", "").Body; !strings.Contains(m, "gatehouse_store_up 0\n") {
					t.Error("gatehouse_store_up is not 0")
				}
				resume()
				w.eventually(t, good, 200)
				rig.Eventually(t, "fresh", func() bool {
					return strings.Contains(w.AdminCall(t, "GET", "/metrics", "").Body, "gatehouse_store_up 1\n") && age(t, w) <= 1
				})
				w.Send(t, revoked).Refused(t, 401, "token_revoked")
			})
		}
	}
}

// age is how many seconds old the copy of the list is.
func age(t *testing.T, w *world) float64 {
	t.Helper()
	var status struct {
		Revocations struct {
			AgeSeconds float64 `json:"age_seconds"`
		}
	}
	if err := json.Unmarshal([]byte(w.AdminCall(t, "GET", "/v1/status", "").Body), &status); err != nil {
		t.Fatal(err)
	}
	return status.Revocations.AgeSeconds
}

// A gateway that never saw the list is not ready and lets nobody in, whatever
// when_stale says, and heals by itself.
func TestStoreIsDownAtStart(t *testing.T) {
	for _, when := range []string{"deny", "allow"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			redis := newRedis(t)
			restart := kill(t, redis)
			up := rig.StartUpstream(t)
			env := environment(redis.URL(), up.URL)
			env["WHEN_STALE"] = when
			w := &world{rig.StartUnready(t, rig.Config{YAML: configuration, Env: env}), up}
			if a := w.AdminCall(t, "GET", "/readyz", ""); a.Status != 503 || !strings.Contains(a.Body, `"revocations"`) || !strings.Contains(a.Body, "failing") {
				t.Errorf("readyz: %d %s", a.Status, a.Body)
			}
			if a := w.AdminCall(t, "GET", "/livez", ""); a.Status != 200 {
				t.Errorf("livez: %d", a.Status)
			}
			raw := rig.Get("/orders/", keyLine, bearer(token(t, nil)))
			a := w.Send(t, raw)
			a.Refused(t, 503, "revocation_stale")
			if a.Header.Get("Retry-After") == "" {
				t.Errorf("no Retry-After: %v", a.Header)
			}
			w.up.Nothing(t)
			restart()
			w.WaitReady(t)
			if a := w.Send(t, raw); a.Status != 200 {
				t.Errorf("once the store is there: %d %s", a.Status, a.Body)
			}
		})
	}
}
