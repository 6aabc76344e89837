package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/auth"
	"gatehouse/auth/keyset"
)

// publish is an issuer with one key, of which it tells how often it was read.
func publish(t *testing.T, kid string) (url string, read *int) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := auth.NewVerificationKey(kid, "ES256", private.Public())
	if err != nil {
		t.Fatal(err)
	}
	set, err := keyset.PublicJWKS([]*auth.Key{key})
	if err != nil {
		t.Fatal(err)
	}
	read = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*read++
		_, _ = w.Write(set)
	}))
	t.Cleanup(s.Close)
	return s.URL, read
}

// withRemote is yaml with more keys for its issuer.
func withRemote(t *testing.T, more string) string {
	return strings.Replace(yaml(echo(t), ""), "renew: {after: 0}", "renew: {after: 0}, "+more, 1)
}

// A kid of the configuration's keys cannot be taken by a published one.
func TestConfiguredKeysComeFirst(t *testing.T) {
	url, read := publish(t, "k1")
	r := start(t, withRemote(t, "jwks_url: "+url))
	keys := r.snapshot.Load().issuers[0].Keys
	if *read != 1 || len(keys.All()) != 2 || !keys.Ready() {
		t.Fatalf("read %d times, %d keys", *read, len(keys.All()))
	}
	if found := keys.Find("k1"); found.Algorithm != "HS256" || keys.Signer() != found {
		t.Errorf("k1 is the key for %s", found.Algorithm)
	}
	if res := r.get("/orders/", "Api-Key", "web-key", "Authorization", "Bearer "+r.token(nil)); res.StatusCode != 200 || res.Header.Get("Authorization") == "" {
		t.Errorf("%d %s", res.StatusCode, text(res))
	}
}

func TestPublished(t *testing.T) {
	url, _ := publish(t, "k2")
	r := start(t, withRemote(t, fmt.Sprintf("jwks_url: %s, key_ring: {encryption_key: %s}", url, strings.Repeat("0f1e", 16))))
	keys := r.snapshot.Load().issuers[0].Keys
	if published(keys) == nil || published(auth.NewClientKeys(keys, nil)) != published(keys) || keys.Find("k2") == nil {
		t.Error("the published keys are not found among the others")
	}
	if published(auth.NewStaticKeys(nil)) != nil {
		t.Error("keys of the configuration count as published")
	}
}

// A configuration that is refused leaves what is in force alone, and starts
// nothing.
func TestRefusedConfigurationReadsNoKeys(t *testing.T) {
	url, read := publish(t, "k2")
	other, otherRead := publish(t, "k3")
	r := start(t, withRemote(t, "jwks_url: "+url))
	inForce := only(r.parts.remotes.lasting)
	r.write(strings.Replace(withRemote(t, "jwks_url: "+other), secret, "short", 1))
	if err := r.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "the secret for HS256 has 5 bytes") {
		t.Fatalf("it is not refused when it is built: %v", err)
	}
	if n := len(r.parts.remotes.all); n != 1 || only(r.parts.remotes.lasting) != inForce || *otherRead != 0 || *read != 1 {
		t.Errorf("%d issuers, read %d and %d times; what is in force runs: %t", n, *read, *otherRead, only(r.parts.remotes.lasting) == inForce)
	}
	r.write(withRemote(t, "jwks_url: "+other))
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(r.parts.remotes.all); n != 1 || *otherRead != 1 || r.snapshot.Load().issuers[0].Keys.Find("k3") == nil {
		t.Errorf("%d issuers, read %d times", n, *otherRead)
	}
}
