package keys

import (
	"strings"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// An issuer that is down takes its own routes down and no other, and needs no
// restart when it is back; its last keys outlive one of ours.
func TestIssuerIsDownAtTheStart(t *testing.T) {
	for kind, where := range kinds {
		for name, store := range map[string]func(t *testing.T) string{
			"embedded": func(*testing.T) string { return "file:gatehouse.db" },
			"redis":    func(t *testing.T) string { return storetest.StartRedis(t).URL() },
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				i, k := newIssuer(t), newKey(t, "k1")
				i.publish(k)
				iss, keys := where(i)
				cfg := setup(store(t), rig.StartUpstream(t).URL, iss, keys)
				w := &world{rig.Start(t, cfg), iss}
				a := w.ask(t, k)
				a.Refused(t, 503, "keys_unavailable")
				if a.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
				if a := w.Send(t, rig.Get("/open/")); a.Status != 200 {
					t.Errorf("another route answers %d %s", a.Status, a.Body)
				}
				w.Send(t, rig.Get("/main/", "Authorization: Bearer "+k.token(t, iss))).Refused(t, 401, "token_untrusted")

				i.start(t)
				w.eventually(t, k, 200)
				if n := w.metric(t, "gatehouse_issuer_keys"); n != 1 {
					t.Errorf("%v keys", n)
				}
				if n := w.metric(t, "gatehouse_issuer_keys_skipped"); n != 1 {
					t.Errorf("%v keys are left out", n)
				}
				if age := w.metric(t, "gatehouse_issuer_keys_age_seconds"); age < 0 || age > 60 {
					t.Errorf("the age is %v", age)
				}

				i.stop()
				if err := w.Stop(); err != nil {
					t.Fatal(err)
				}
				again, err := rig.New(w.Folder, cfg)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := again.Stop(); err != nil {
						t.Error(err)
					}
				})
				w.Gateway = again
				w.WaitReady(t)
				if a := w.ask(t, k); a.Status != 200 {
					t.Errorf("after a restart without the issuer: %d %s", a.Status, a.Body)
				}
				w.ask(t, newKey(t, "k1")).Refused(t, 401, "token_untrusted")
			})
		}
	}
}

// A key that takes over is known about a second after its first token; the one
// that went is not trusted any more, nor what it has signed.
func TestRotation(t *testing.T) {
	for kind, where := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			i, old, next := newIssuer(t), newKey(t, "k1"), newKey(t, "k2")
			i.publish(old)
			i.start(t)
			iss, keys := where(i)
			w := &world{rig.Start(t, setup("memory:", rig.StartUpstream(t).URL, iss, keys)), iss}
			// Ready, and so it has them.
			if a := w.ask(t, old); a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			token := old.token(t, iss)
			request := rig.Get("/afar/", "Authorization: Bearer "+token)
			if a := w.Send(t, request); a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			i.publish(next)
			began := time.Now()
			w.ask(t, next).Refused(t, 401, "token_untrusted")
			w.eventually(t, next, 200)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
			w.Send(t, request).Refused(t, 401, "token_untrusted")

			// Whatever strangers send now, the issuer is left in peace.
			before := i.times("/jwks.json")
			for range 200 {
				w.ask(t, newKey(t, "made-up"+next.kid))
			}
			if n := i.times("/jwks.json") - before; n != 0 {
				t.Errorf("it is asked %d times again", n)
			}
		})
	}
}

// A reload goes on with the keys that there are, and waits for others.
func TestReload(t *testing.T) {
	t.Parallel()
	i, j, k, other := newIssuer(t), newIssuer(t), newKey(t, "k1"), newKey(t, "k1")
	i.publish(k)
	j.publish(other)
	i.start(t)
	j.start(t)
	cfg := setup("memory:", rig.StartUpstream(t).URL, "https://idp.example.com", "jwks_url: "+i.URL+"/jwks.json")
	w := &world{rig.Start(t, cfg), "https://idp.example.com"}
	w.reload(t, strings.Replace(cfg.YAML, "{name: open,", "{name: opened,", 1))
	if a := w.ask(t, k); a.Status != 200 || i.times("/jwks.json") != 1 {
		t.Errorf("%d %s; read %d times", a.Status, a.Body, i.times("/jwks.json"))
	}
	w.reload(t, strings.Replace(cfg.YAML, i.URL, j.URL, 1))
	if a := w.ask(t, other); a.Status != 200 {
		t.Errorf("with keys from elsewhere: %d %s", a.Status, a.Body)
	}
	w.ask(t, k).Refused(t, 401, "token_untrusted")
}

// Commands ask the issuer as the gateway does.
func TestCommands(t *testing.T) {
	t.Parallel()
	i, k := newIssuer(t), newKey(t, "k1")
	i.publish(k)
	i.start(t)
	cfg := setup("memory:", rig.StartUpstream(t).URL, i.URL, "discovery: true")
	w := &world{rig.Start(t, cfg), i.URL}
	if out := w.run(t, cfg, k.token(t, i.URL), "token", "inspect"); !strings.Contains(out, "\nvalid\n") {
		t.Errorf("inspect: %s", out)
	}
	i.stop()
	if out := w.run(t, cfg, k.token(t, i.URL), "token", "inspect"); !strings.Contains(out, "keys_unavailable") || !strings.Contains(out, "connection refused") {
		t.Errorf("inspect without the issuer: %s", out)
	}
	if out := w.run(t, cfg, "", "check"); strings.Contains(out, "refused") {
		t.Errorf("check asks the issuer: %s", out)
	}
}

func TestWrongURLs(t *testing.T) {
	for keys, want := range map[string]string{
		"jwks_url: http://idp.example.com/jwks.json":          "gateway.yaml:6:64: issuers[1].jwks_url: could be answered by anybody on the way",
		"jwks_url: idp.example.com":                           "issuers[1].jwks_url: is not a URL",
		"discovery: true":                                     "issuers[1].issuer: is not a URL",
		"discovery: true, jwks_url: https://idp.example.com/": "issuers[1].discovery: jwks_url is set too",
		"jwks_url: https://idp.example.com/, algorithms: []":  "issuers[1].algorithms: is empty",
		`jwks_url: ""`:                                        "issuers[1].keys: is missing",
	} {
		cfg := setup("memory:", "http://127.0.0.1:1", "somebody", keys)
		w := &world{Gateway: &rig.Gateway{Folder: t.TempDir()}}
		w.write(t, cfg.YAML)
		if out := w.run(t, cfg, "", "check"); !strings.Contains(out, want) {
			t.Errorf("%s: %s, want %s", keys, out, want)
		}
	}
}
