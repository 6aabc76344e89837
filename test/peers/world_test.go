// Package peers has Debian's nginx and HAProxy judge the built program: the
// same bytes go through them, through gatehouse, and through each in front of
// the other, to one backend that reads HTTP/1.1 as strictly as it can be read.
// However malformed a stream is, no way may find more requests in it than the
// next, and no byte of one request may become another's.
package peers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/store/storetest"
	"gatehouse/test/loopback"
	"gatehouse/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

// Both are as lenient as they can be made, and write on each request what they
// have understood: %[1]s is where it goes, %[2]s where they listen. Nothing is
// sent twice.
var configurations = map[string]string{
	"nginx": `daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
  underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;
  upstream next { server %[1]s; keepalive 8; keepalive_requests 1000000; }
  server {
    listen %[2]s;
    location / {
      proxy_pass http://next; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_request_buffering off; proxy_next_upstream off; proxy_read_timeout 60s;
      proxy_set_header X-Peer-Id $request_id; proxy_set_header X-Peer-Line "$request_method $request_uri";
    }
  }
}
`,
	"haproxy": `defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  retries 0
  http-reuse always
  default-server pool-max-conn 8
backend next
  server next %[1]s
frontend front
  bind %[2]s
  maxconn 2000
  http-request set-header X-Peer-Id %%[uuid]
  http-request set-header X-Peer-Line "%%[method] %%[pathq]"
  default_backend next
`,
}

// startPeer starts nginx or HAProxy in front of next, until the test ends, and
// returns its address.
func startPeer(t *testing.T, program, next string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing := program + " is missing: apt-get install " + program
		if os.Getenv(storetest.RequireServices) != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	addr, folder := loopback.Address(), t.TempDir()
	file := filepath.Join(folder, "config")
	if err := os.WriteFile(file, fmt.Appendf(nil, configurations[program], next, addr), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-f", file)
	if program == "nginx" {
		cmd.Args = []string{path, "-c", file, "-p", folder}
	}
	cmd.Dir = folder
	output := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", program, output)
		}
	})
	rig.Eventually(t, "listening", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return addr
}

// way is one way from a client to a backend of its own.
type way struct {
	addr    string // of its beginning
	backend *backend
	through bool // gatehouse is on it
	writes  bool // gatehouse is the last before the backend
	judged  bool // a peer and gatehouse are on it
}

// startWays makes the ways by which a peer judges gatehouse.
func startWays(t *testing.T, peer string) (all [4]*way) {
	gateway := func(next string) string {
		return rig.Start(t, rig.Config{YAML: fmt.Sprintf(`
server: {listen: "127.0.0.1:0", read_header_timeout: 1m, body_idle_timeout: 1m}
admin: {listen: "127.0.0.1:0", token: %q}
store: {url: "memory:"}
log: {access: false}
defaults: {upstream: "http://%s", auth: none}
routes: [{name: all, match: /}]
`, rig.AdminToken, next)}).Addr
	}
	for i := range all {
		b := startBackend(t)
		all[i] = &way{addr: b.addr, backend: b, through: i != alone, writes: i == direct || i == front, judged: i == front || i == behind}
	}
	all[alone].addr = startPeer(t, peer, all[alone].addr)
	all[direct].addr = gateway(all[direct].addr)
	all[front].addr = startPeer(t, peer, gateway(all[front].addr))
	all[behind].addr = gateway(startPeer(t, peer, all[behind].addr))
	return all
}
