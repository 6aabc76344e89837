package script

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/test/loopback"
	"gatehouse/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "ready": ready, "live": live, "grab": grab, "call": call, "post": post, "mode": mode,
		},
	})
}

// setup gives each script the program, free addresses for its gateway, and an
// upstream that answers with the headers it was sent.
func setup(env *testscript.Env) error {
	env.Setenv("PATH", filepath.Dir(rig.Command("").Path)+string(os.PathListSeparator)+env.Getenv("PATH"))
	for _, name := range []string{"GATEHOUSE_SERVER_LISTEN", "GATEHOUSE_ADMIN_LISTEN"} {
		env.Setenv(name, loopback.Address())
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.Method, r.RequestURI)
		_ = r.Header.Write(w)
	}))
	env.Defer(upstream.Close)
	env.Setenv("UPSTREAM", upstream.URL)
	return nil
}

// exits runs a program and wants that exit status: exits 2 gatehouse serve x.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case err == nil && want == 0:
	case errors.As(err, &exit) && exit.ExitCode() == want:
	default:
		ts.Fatalf("%s ended with %v, want status %d", args[1], err, want)
	}
}

// ready waits until the gateway of a config is ready: ready [CONFIG].
func ready(ts *testscript.TestScript, _ bool, args []string) {
	file := append(args, "gateway.yaml")[0]
	for end := time.Now().Add(rig.Patience); ; time.Sleep(5 * time.Millisecond) {
		if ts.Exec("gatehouse", "healthcheck", "--config", file) == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("the gateway does not get ready")
		}
	}
}

// live waits until the gateway answers on its admin listener, ready or not.
func live(ts *testscript.TestScript, _ bool, _ []string) {
	for end := time.Now().Add(rig.Patience); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", ts.Getenv("GATEHOUSE_ADMIN_LISTEN"))
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("the gateway does not start: %v", err)
		}
	}
}

// grab writes what the group of a pattern matches in the last output to a
// file: grab PATTERN FILE.
func grab(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(args[0]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("%s is not in the output", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(m[1]+"\n"), 0o600))
}

// call makes a GET request to the gateway and wants that status, and that text
// in the answer: call STATUS TEXT PATH [HEADER]... In a header @FILE stands
// for the file's text.
func call(ts *testscript.TestScript, _ bool, args []string) {
	r, err := http.NewRequest(http.MethodGet, "http://"+ts.Getenv("GATEHOUSE_SERVER_LISTEN")+args[2], nil)
	ts.Check(err)
	for _, line := range args[3:] {
		name, value, _ := strings.Cut(line, ": ")
		if head, file, found := strings.Cut(value, "@"); found {
			value = head + strings.TrimSpace(ts.ReadFile(file))
		}
		r.Header.Set(name, value)
	}
	// What the program has just written reaches the gateway a moment later.
	for end := time.Now().Add(rig.Patience); ; time.Sleep(5 * time.Millisecond) {
		answer, err := http.DefaultClient.Do(r)
		ts.Check(err)
		var b strings.Builder
		ts.Check(answer.Write(&b))
		answer.Body.Close()
		if strconv.Itoa(answer.StatusCode) == args[0] && strings.Contains(b.String(), args[1]) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("want %s with %s, got:\n%s", args[0], args[1], &b)
		}
	}
}

// post sends a form to the gateway and wants that status; the answer is the
// output: post STATUS PATH FORM.
func post(ts *testscript.TestScript, _ bool, args []string) {
	answer, err := http.Post("http://"+ts.Getenv("GATEHOUSE_SERVER_LISTEN")+args[1], "application/x-www-form-urlencoded", strings.NewReader(args[2]))
	ts.Check(err)
	defer answer.Body.Close()
	_, err = io.Copy(ts.Stdout(), answer.Body)
	ts.Check(err)
	if strconv.Itoa(answer.StatusCode) != args[0] {
		ts.Fatalf("%s: %s, want %s", args[1], answer.Status, args[0])
	}
}

// mode wants those permissions: mode 600 FILE...
func mode(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}
