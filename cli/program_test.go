package cli

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
)

// newProgram returns a program that reads that text, and where it writes to.
func newProgram(in string) (p *program, out, errs *bytes.Buffer) {
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	return &program{
		Stdio: Stdio{In: strings.NewReader(in), Out: out, Err: errs}, now: func() time.Time { return now },
	}, out, errs
}

// eachVerb calls visit for every verb and group of verbs.
func eachVerb(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, c := range cmd.Commands() {
		eachVerb(c, visit)
	}
}

// Every help has an example, and the examples are command lines that exist.
func TestHelpHasExamples(t *testing.T) {
	p, _, _ := newProgram("")
	eachVerb(p.root(), func(c *cobra.Command) {
		if c.Short == "" || !strings.Contains(c.Example, "gatehouse") {
			t.Errorf("%s has no text, or no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "gatehouse" {
				continue
			}
			q, _, _ := newProgram("")
			found, rest, err := q.root().Find(words[1:])
			if err != nil || len(rest) > 0 && found.HasSubCommands() && found.Name() != "gatehouse" {
				t.Errorf("the example %q of %s is no verb: %v", line, c.CommandPath(), err)
				continue
			}
			for _, word := range rest {
				name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
				if strings.HasPrefix(word, "--") && found.Flags().Lookup(name) == nil {
					t.Errorf("the example %q of %s has the flag %s, which is not there", line, c.CommandPath(), word)
				}
			}
		}
	})
}

// Secrets come from files and standard input: no flag takes one (C07 of the
// threat list).
func TestC07NoSecretByFlag(t *testing.T) {
	p, _, _ := newProgram("")
	eachVerb(p.root(), func(c *cobra.Command) {
		for _, flag := range flagName.FindAllString(c.Flags().FlagUsages(), -1) {
			for _, word := range []string{"token", "key", "secret", "password"} {
				if strings.Contains(flag, word) && !strings.HasSuffix(flag, "-file") && flag != "--api-key" {
					t.Errorf("%s has the flag %s", c.CommandPath(), flag)
				}
			}
		}
	})
}

var flagName = regexp.MustCompile(`--[a-z-]+`)

func TestReport(t *testing.T) {
	problem := config.Problem{File: "gateway.yaml", Line: 2, Column: 3, Path: "server.lisen", Message: "unknown key"}
	for _, c := range []struct {
		err    error
		status int
		text   string
	}{
		{nil, 0, ""},
		{&exit{status: 3}, 3, ""},
		{usage("no\nsuch %s", "thing"), 2, "gatehouse: no such thing; see gatehouse --help\n"},
		{errors.New("broken"), 1, "gatehouse: broken\n"},
		{problem, 1, "gateway.yaml:2:3: server.lisen: unknown key\n"},
		{config.Problems{problem, problem}, 1, strings.Repeat("gateway.yaml:2:3: server.lisen: unknown key\n", 2)},
	} {
		p, _, errs := newProgram("")
		if got := p.report(p.root(), c.err); got != c.status || errs.String() != c.text {
			t.Errorf("%v: status %d and %q, want %d and %q", c.err, got, errs, c.status, c.text)
		}
	}
}

func TestTable(t *testing.T) {
	p, out, _ := newProgram("")
	table(p.Out, "  ", [][]string{{"a", "bbb", ""}, {"cc", "d", "e f"}})
	if want := "  a   bbb\n  cc  d    e f\n"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestShellQuote(t *testing.T) {
	for text, want := range map[string]string{"a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'"} {
		if got := shellQuote(text); got != want {
			t.Errorf("%q is quoted as %s, want %s", text, got, want)
		}
	}
}
