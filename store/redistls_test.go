package store_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

// startTLS starts a redis-server that also speaks TLS, at addr.
func startTLS(t *testing.T, a storetest.Authority, args ...string) (server *storetest.Redis, addr string) {
	t.Helper()
	addr, lines := a.Server(t)
	for _, l := range lines {
		args = append(args, "--"+l[0], l[1])
	}
	return storetest.StartRedis(t, args...), addr
}

// leastPrivilege is the command of the package doc that makes the user.
func leastPrivilege(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`ACL SETUSER (?:.*\n//\t  )*.*`).FindString(string(doc))
	return strings.ReplaceAll(strings.ReplaceAll(rule, "//", ""), "PASSWORD", "secret")
}

// TestR25LeastPrivilege runs the contract as the user that the package doc
// tells to make, over TLS with certificates on both sides.
func TestR25LeastPrivilege(t *testing.T) {
	rule, a := leastPrivilege(t), storetest.NewAuthority(t, false)
	server, addr := startTLS(t, a)
	server.Do(t, strings.Fields(rule)...)
	storetest.Run(t, func(t *testing.T) *store.Store {
		server.Do(t, "FLUSHALL")
		return open(t, store.Config{URL: "rediss://gatehouse:secret@" + addr + "/1", TLS: a.Client(t), Log: failOn(t, slog.LevelWarn)})
	})
	s := open(t, store.Config{URL: "rediss://gatehouse:secret@" + addr, TLS: a.Client(t), WaitReplicas: 1})
	wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("s")), "0 of 1 replicas")
	if refused := server.Do(t, "ACL", "LOG"); refused != "" {
		t.Errorf("tried without the right to: %s", refused)
	}
	// AUTH is for servers that do not know HELLO, XTRIM for a log of more than
	// its retention.
	used := server.Do(t, "INFO", "commandstats") + "cmdstat_auth: cmdstat_xtrim:"
	for _, right := range regexp.MustCompile(`\+\w+`).FindAllString(rule, -1) {
		if !strings.Contains(used, "cmdstat_"+right[1:]+":") {
			t.Errorf("%s is granted and not needed", right)
		}
	}
}

// TestTLS: what does not fit is refused with what to do about it.
func TestTLS(t *testing.T) {
	a, another := storetest.NewAuthority(t, true), storetest.NewAuthority(t, true)
	_, addr := startTLS(t, a)
	for name, c := range map[string]struct {
		ca     storetest.Authority
		change func(*tls.Config)
		want   string // "" for none
	}{
		"right":             {a, func(c *tls.Config) { c.ServerName = "redis.test" }, ""},
		"another authority": {another, func(c *tls.Config) { c.ServerName = "redis.test" }, "see ca_file and server_name"},
		"another name":      {a, func(c *tls.Config) { c.ServerName = "redis.example" }, "see ca_file and server_name"},
		"the address":       {a, func(*tls.Config) {}, "see ca_file and server_name"},
		"no certificate":    {a, func(c *tls.Config) { c.ServerName, c.Certificates = "redis.test", nil }, "asks for a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := c.ca.Client(t)
			c.change(cfg)
			s := open(t, store.Config{URL: "rediss://" + addr, TLS: cfg})
			if c.want == "" {
				revoke(t, s, "s")
				return
			}
			// A server that hangs up may do so before it is heard why.
			storetest.Until(t, c.want, func() bool {
				err := s.Revoke(t.Context(), storetest.Session("s"))
				return errors.Is(err, store.ErrUnavailable) && strings.Contains(err.Error(), c.want)
			})
		})
	}
	t.Run("the system's authorities", func(t *testing.T) {
		s := open(t, store.Config{URL: "rediss://" + addr})
		wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("s")), "see ca_file and server_name")
	})
}

func TestClusterTLS(t *testing.T) {
	a := storetest.NewAuthority(t, false)
	server, addr := startTLS(t, a, "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1")
	server.Do(t, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	storetest.Until(t, "the cluster is up", func() bool {
		return strings.Contains(server.Do(t, "CLUSTER", "INFO"), "cluster_state:ok")
	})
	s := open(t, store.Config{URL: "rediss+cluster://" + addr, TLS: a.Client(t)})
	revoke(t, s, "s")
	if got := storetest.Revocations(t, s); len(got) != 1 {
		t.Errorf("the list: %v", got)
	}
}

func TestSentinelTLS(t *testing.T) {
	a := storetest.NewAuthority(t, false)
	master, addr := startTLS(t, a)
	_, port, _ := net.SplitHostPort(addr)
	at, lines := a.Server(t)
	conf := []string{"sentinel monitor main 127.0.0.1 " + port + " 1"}
	for _, l := range lines {
		conf = append(conf, l[0]+" "+l[1])
	}
	storetest.StartSentinel(t, conf...)
	s := open(t, store.Config{URL: "rediss+sentinel://" + at + "/0?master=main", TLS: a.Client(t)})
	revoke(t, s, "s")
	if n := master.Do(t, "HLEN", entriesKey); n != "1" {
		t.Errorf("the master has %s entries", n)
	}
}
