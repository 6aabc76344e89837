package program

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// TestDemo pastes every line that the demo prints into a shell.
func TestDemo(t *testing.T) {
	need(t, "bash", "curl")
	t.Run("usual ports", paste)
	t.Run("ports taken", func(t *testing.T) {
		for _, address := range []string{"127.0.0.1:8080", "127.0.0.1:9090"} {
			if l, err := net.Listen("tcp", address); err == nil {
				defer l.Close()
			}
		}
		paste(t)
	})
}

// need wants those programs to be installed.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, needed := range programs {
		if _, err := exec.LookPath(needed); err != nil {
			missing := needed + " is missing: apt-get install " + needed
			if os.Getenv(storetest.RequireServices) != "" {
				t.Fatal(missing)
			}
			t.Skip(missing)
		}
	}
}

// demoSteps are what the demo promises, and what must come of it.
var demoSteps = []struct{ prompt, want string }{
	{"no credentials: 401", `^HTTP/1.1 401 (?s:.*)\{"type".*"code":"api_key_missing"`},
	{"an API key is not enough here: 401", `^HTTP/1.1 401 (?s:.*)\{"type".*"code":"token_missing"`},
	{"both: 200", `^HTTP/1.1 200 (?s:.*)\r\nAuthorization: Bearer [\w-]+\.[\w-]+\.[\w-]+\r\n(?s:.*)` +
		`"X-Client-Id": "demo-app"(?s:.*)"X-User-Email": "alice@example.com"(?s:.*)"X-User-Id": "alice"(?s:.*)"X-User-Roles": "admin,staff"` +
		`(?s:.*)"method": "GET"(?s:.*)"path": "/hello\?from=demo"`},
	{"the session ends", `^HTTP/1.1 201 (?s:.*)\{"kind":"sid"`},
	{"the same call as before: 401", `^HTTP/1.1 401 (?s:.*)\{"type".*"code":"token_revoked"`},
}

func paste(t *testing.T) {
	folder := t.TempDir()
	demo := rig.Command(folder, "demo")
	demo.Env = append(os.Environ(), "TMPDIR="+folder)
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			_ = demo.Process.Kill()
			_ = demo.Wait()
		}
	}()
	lines := bufio.NewScanner(out)
	for i := 0; i < len(demoSteps) && lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, "   curl ") {
			if strings.Contains(line, demoSteps[i].prompt) {
				t.Logf("%6s %s", time.Since(began).Round(time.Millisecond), line)
			}
			continue
		}
		got, err := exec.Command("bash", "-c", line).Output()
		if err != nil || !regexp.MustCompile(demoSteps[i].want).Match(got) {
			t.Errorf("%s\n%v\n%s\nwant %s", line, err, got, demoSteps[i].want)
		}
		if i++; i == len(demoSteps) {
			break
		}
	}
	if err := demo.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	ended = true
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("the demo leaves %v behind", left)
	}
}
