package faults

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// TestTLS: a gateway speaks TLS to its store, shows its certificate, and says
// what is wrong when it does not believe the server's.
func TestTLS(t *testing.T) {
	t.Parallel()
	a, another := storetest.NewAuthority(t, true), storetest.NewAuthority(t, true)
	addr, lines := a.Server(t)
	var args []string
	for _, l := range lines {
		args = append(args, "--"+l[0], l[1])
	}
	redis := storetest.StartRedis(t, args...)
	store := func(ca string) string {
		return fmt.Sprintf("%s, tls: {ca_file: %q, cert_file: %q, key_file: %q, server_name: redis.test}", at("rediss://"+addr), ca, a.CertFile, a.KeyFile)
	}
	w := newDirectWorld(t, redis, store(a.CAFile))
	redis.Kill()
	redis.Start(t)
	w.well(t)
	w.traffic.verdict(t)

	g := rig.StartUnready(t, config(t, store(another.CAFile)))
	line := g.Log.Wait(t, "revocation list: cannot be kept up to date, trying again")
	if text := fmt.Sprint(line["error"]); !strings.Contains(text, "see ca_file and server_name") || !strings.Contains(text, "unknown authority") {
		t.Errorf("the log says %s", text)
	}
	if code := g.AdminCall(t, "GET", "/readyz", "").Status; code != 503 {
		t.Errorf("ready with a server that it does not believe: %d", code)
	}
}
