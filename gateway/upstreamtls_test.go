package gateway

import (
	"testing"
	"time"

	"gatehouse/config"
)

// Connections are shared by what has the same ID: with the same files and names
// it is one and the same after a reload, and with any other it is not.
func TestUpstreamTLSID(t *testing.T) {
	signer := newAuthority(t, "signer")
	fill := func() map[string][]byte {
		cert, key := signer.issue("gateway", "", time.Hour)
		return map[string][]byte{"ca.pem": signer.pem(), "cert.pem": cert, "key.pem": key}
	}
	files := fill()
	v := newVolume(t, files)
	same := config.ClientTLS{
		CAFile: config.File(v.folder + "/ca.pem"), CertFile: config.File(v.folder + "/cert.pem"),
		KeyFile: config.File(v.folder + "/key.pem"), ServerName: "orders.internal",
	}
	named := same
	named.ServerName = "other.internal"
	seen := map[string]string{}
	id := func(what string, files config.ClientTLS) string {
		b := &builder{cfg: &config.Config{}}
		secure := b.upstreamTLS("routes[0].upstream_tls", files)
		if secure == nil {
			t.Fatalf("%s: %v", what, b.problems)
		}
		return secure.ID
	}
	first := id("first", same)
	v.swap(files)
	if id("again", same) != first {
		t.Error("the same content has another ID")
	}
	seen[first], seen[id("named", named)] = "first", "named"
	files["ca.pem"] = append(files["ca.pem"], newAuthority(t, "another").pem()...)
	v.swap(files)
	seen[id("authority", same)] = "authority"
	renewed := fill()
	renewed["ca.pem"] = files["ca.pem"]
	v.swap(renewed)
	seen[id("certificate", same)] = "certificate"
	if len(seen) != 4 {
		t.Errorf("one ID for different content: %v", seen)
	}
	b := &builder{cfg: &config.Config{}}
	if b.upstreamTLS("routes[0].upstream_tls", config.ClientTLS{}) != nil {
		t.Error("something came of nothing")
	}
}
