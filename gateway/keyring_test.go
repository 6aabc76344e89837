package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// ringYAML is a configuration whose issuer signs with a ring, sealed under a
// key of that digit.
func ringYAML(upstream string, digit byte) string {
	ring := fmt.Sprintf(`key_ring: {publish_for: 4s, encryption_key: "%s"}, renew`, strings.Repeat("0"+string(digit)+"57", 16))
	return strings.Replace(yaml(upstream, ""), "renew:", ring+":", 1)
}

// A ring that cannot be opened changes nothing: the one in force goes on.
func TestReloadWithAnotherEncryptionKeyIsRefused(t *testing.T) {
	upstream := echo(t)
	r := start(t, ringYAML(upstream, '1'))
	issuer := r.snapshot.Load().issuers[0]
	r.eventually("with a key of the ring", func() bool { return issuer.Keys.Signer().ID != "k1" })
	signer, ring := issuer.Keys.Signer(), only(r.parts.rings.lasting)
	r.write(ringYAML(upstream, '2'))
	err := r.Reload(t.Context())
	if err == nil || !strings.Contains(err.Error(), "a key ring cannot be read") {
		t.Errorf("the reload: %v", err)
	}
	if now := r.snapshot.Load().issuers[0]; now != issuer || now.Keys.Signer() != signer || !r.Ready() || only(r.parts.rings.lasting) != ring {
		t.Error("what was in force is not any more")
	}
	// Back again, and with another setting: the keys are the store's.
	r.write(strings.Replace(ringYAML(upstream, '1'), "publish_for: 4s", "publish_for: 8s", 1))
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := r.snapshot.Load().issuers[0].Keys; now.Signer() == nil || now.Signer().ID != signer.ID {
		t.Error("a ring with another setting begins without its keys")
	}
}

// Until a new ring has its first key, the configuration's keys sign.
func TestRingBesideKeysThatSign(t *testing.T) {
	upstream := echo(t)
	r := start(t, yaml(upstream, ""))
	r.write(ringYAML(upstream, '1'))
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := r.snapshot.Load().issuers[0].Keys
	if keys.Signer() == nil {
		t.Error("nothing signs")
	}
	r.eventually("with a key of the ring", func() bool { return keys.Signer().ID != "k1" })
	if keys.Find("k1") == nil || len(keys.All()) != 2 || !keys.Ready() {
		t.Error("the configuration's key is gone")
	}
}

func TestLastingKeepsWhatIsInForce(t *testing.T) {
	l := newLasting[*stubRunner]()
	of := func(name string) *stubRunner {
		r, err := l.of(name, func() (*stubRunner, error) { return &stubRunner{}, nil })
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := of("a")
	l.settle(true)
	of("b")
	l.settle(false) // refused before anything was started
	if of("a") != first || len(l.fresh()) != 0 {
		t.Error("what is in force was dropped with what was refused")
	}
	of("c")
	if len(l.fresh()) != 1 {
		t.Error("what is built is in force already")
	}
	l.settle(true)
	if len(l.all) != 2 {
		t.Errorf("%d are kept", len(l.all))
	}
	of("c")
	l.settle(true)
	if len(l.all) != 1 || l.all["c"] == nil {
		t.Errorf("%v is kept", l.all)
	}
}

// only are the keys of the one member that there is.
func only[T runner](l *lasting[T]) (keys T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.all {
		keys = m.keys
	}
	return keys
}

type stubRunner struct{ _ int }

func (*stubRunner) Run(ctx context.Context) error { <-ctx.Done(); return nil }
