package threats

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

const nginxConfig = `daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit;
events {}
http {
  access_log off; client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
  underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;
  upstream gateway { server %s; keepalive 2; }
  server {
    listen %s;
    location / { proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off; }
  }
}
`

const haproxyConfig = `defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  http-reuse always
  default-server pool-max-conn 2
backend gateway
  server gateway %s
frontend front
  bind %s
  default_backend gateway
`

// front starts a reverse proxy in front of the gateway, and returns it as if it
// were one.
func front(t *testing.T, program, config, gateway string, args ...string) *rig.Gateway {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing := program + " is missing: apt-get install " + program
		if os.Getenv(storetest.RequireServices) != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, folder := l.Addr().String(), t.TempDir()
	_ = l.Close()
	file := filepath.Join(folder, "config")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, gateway, addr), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, file)...)
	cmd.Dir = folder
	if program == "nginx" {
		cmd.Args = append(cmd.Args, "-p", folder)
	}
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
	return &rig.Gateway{Addr: addr}
}

// What a proxy in front and the gateway could understand in two ways: %[1]s is
// a request of its own that is hidden in it.
var ambiguous = []string{
	"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%[1]s", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n%[1]s",
	"Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\nbody%[1]s", "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n%[1]s", "Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n\r\nabc%[1]s",
	"Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\nbody%[1]s", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n%[1]s", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n%[1]s",
	"Transfer_Encoding: chunked\r\nContent-Length: 4\r\n\r\nbody%[1]s", "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nbody%[1]s", "Content-Length: +4\r\n\r\nbody%[1]s",
	"Content-Length: 4\r\nContent-Length: 0\r\n\r\nbody%[1]s", "Content_Length: 4\r\n\r\n%[1]s", "Content-Length: 4\r\n\r\nbody%[1]s", "Content-Length: 0\r\n\r\n%[1]s",
	"Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n%[1]s", "Transfer-Encoding: chunked\r\n\r\n1;\nx\r\n0\r\n\r\n%[1]s", "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n%[1]s",
	"Transfer-Encoding: chunked\r\n\r\n2\r\nx\r\n0\r\n\r\n%[1]s", "Transfer-Encoding: chunked\r\n\r\n0\r\n%[1]s", "Transfer-Encoding: chunked\r\nTrailer: X-User-Id\r\n\r\n0\r\nX-User-Id: root\r\n\r\n%[1]s",
	"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n%[1]s", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%[1]s", "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n%[1]s",
	"Connection: Content-Length\r\nContent-Length: 40\r\n\r\n%[1]s", "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n%[1]s",
}

// Behind a proxy that keeps its connections, every client gets its own answers:
// the upstream never sees more requests than the proxy has sent.
func TestS12BehindOtherProxies(t *testing.T) {
	for program, start := range map[string]func(t *testing.T, gateway string) *rig.Gateway{
		"nginx": func(t *testing.T, gateway string) *rig.Gateway { return front(t, "nginx", nginxConfig, gateway, "-c") },
		"haproxy": func(t *testing.T, gateway string) *rig.Gateway {
			return front(t, "haproxy", haproxyConfig, gateway, "-f")
		},
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			w := own(t, nil)
			w.up.Handle(t, func(rw http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(rw, r.URL.Path)
			})
			f := start(t, w.Addr)
			answers := make([]int, len(ambiguous)) // to each attacker
			var group sync.WaitGroup
			for i, form := range ambiguous {
				group.Go(func() {
					hidden := fmt.Sprintf("GET /open/hidden%d HTTP/1.1\r\nHost: gw.example\r\n\r\n", i)
					c := f.Dial(t)
					defer c.Close()
					_, _ = fmt.Fprintf(c, "POST /open/attack%d HTTP/1.1\r\nHost: gw.example\r\n", i)
					_, _ = fmt.Fprintf(c, form, hidden)
					_ = c.SetReadDeadline(time.Now().Add(4 * time.Second))
					for {
						if _, err := c.Read("POST"); err != nil {
							return
						}
						answers[i]++
					}
				})
				group.Go(func() {
					for n := range 5 {
						path := fmt.Sprintf("/open/victim%d-%d", i, n)
						if a := f.Send(t, rig.Get(path)); a.Status != 200 || a.Body != path {
							t.Errorf("asked for %s, got %d %q", path, a.Status, a.Body)
						}
					}
				})
			}
			group.Wait()
			seen := make([]int, len(ambiguous)) // by the upstream, of each attacker
			for _, r := range w.up.Take() {
				var i int
				if _, err := fmt.Sscanf(r.RequestURI, "/open/hidden%d", &i); err == nil {
					seen[i]++
				} else if _, err := fmt.Sscanf(r.RequestURI, "/open/attack%d", &i); err == nil {
					seen[i]++
				}
			}
			for i, form := range ambiguous {
				if strings.HasPrefix(form, "Content-Length: 4\r\n\r\nbody") && (seen[i] != 2 || answers[i] != 2) {
					t.Errorf("of two plain requests the upstream saw %d, and %d were answered", seen[i], answers[i])
				}
				if seen[i] > answers[i] {
					t.Errorf("%q: the upstream saw %d requests, the client %d answers", form, seen[i], answers[i])
				}
			}
		})
	}
}
