package program

import (
	"bufio"
	"io"
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
	{"log in", `^\{"access_token":"[\w-]+\.[\w-]+\.[\w-]+","refresh_token":"[\w-]{91}","token_type":"Bearer","expires_in":3600\}\s*$`},
	{"call with the access token", `^HTTP/1.1 200 (?s:.*)"X-User-Id": "alice"(?s:.*)"X-User-Roles": "admin,staff"`},
	{"refresh", `^\{"access_token":"[\w-]+\.[\w-]+\.[\w-]+","refresh_token":"[\w-]{91}","token_type":"Bearer","expires_in":3600\}\s*$`},
	{"log out", `^HTTP/1.1 200 `},
	{"call with the access token that the refresh gave", `^HTTP/1.1 401 (?s:.*)\{"type".*"code":"token_revoked"`},
}

// shell is one in which line after line is pasted.
type shell struct {
	in  io.Writer
	out *bufio.Reader
}

func newShell(t *testing.T) *shell {
	t.Helper()
	bash := exec.Command("bash")
	in, err := bash.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := bash.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bash.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = bash.Wait()
	})
	return &shell{in, bufio.NewReader(out)}
}

// paste returns what a line prints.
func (s *shell) paste(line string) (string, error) {
	const end = "END-OF-LINE\n"
	if _, err := io.WriteString(s.in, line+"\nprintf '\\n"+strings.TrimSpace(end)+"\\n'\n"); err != nil {
		return "", err
	}
	var got strings.Builder
	for {
		text, err := s.out.ReadString('\n')
		if err != nil || text == end {
			return got.String(), err
		}
		got.WriteString(text)
	}
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
	bash := newShell(t)
	lines := bufio.NewScanner(out)
	for i := 0; i < len(demoSteps) && lines.Scan(); {
		line := lines.Text()
		command, ok := strings.CutPrefix(line, "   ")
		if !ok || !strings.Contains(command, "curl ") {
			if strings.Contains(line, demoSteps[i].prompt) {
				t.Logf("%6s %s", time.Since(began).Round(time.Millisecond), line)
			}
			continue
		}
		got, err := bash.paste(command)
		if err != nil || !regexp.MustCompile(demoSteps[i].want).MatchString(got) {
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
