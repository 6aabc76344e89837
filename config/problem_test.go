package config

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// chdir makes a folder with the files that test configs name, and goes there.
func chdir(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{
		"hs.secret": "0123456789abcdef0123456789abcdef\n", "cert.pem": "cert", "key.pem": "key", "jwks.json": "{}", "users.yaml": "[]",
		"huge": strings.Repeat("x", maxFileBytes+1),
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
}

// environOf returns the variables that a test config sets in its comments.
func environOf(content string) (environ []string) {
	lines := bufio.NewScanner(strings.NewReader(content))
	for lines.Scan() {
		if variable, ok := strings.CutPrefix(lines.Text(), "# env "); ok {
			environ = append(environ, variable)
		}
	}
	return environ
}

// section is one file of a txtar archive.
type section struct{ name, text string }

var sectionMark = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

// sections splits a txtar archive; what stands before the first file is a section
// without name.
func sections(archive string) (all []section) {
	name, start := "", 0
	for _, m := range sectionMark.FindAllStringSubmatchIndex(archive, -1) {
		all = append(all, section{name, archive[start:m[0]]})
		name, start = archive[m[2]:m[3]], m[1]
	}
	return append(all, section{name, archive[start:]})
}

func TestProblems(t *testing.T) {
	golden, err := filepath.Abs("testdata/problems.txtar")
	if err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	chdir(t)
	all := sections(string(archive))
	want := map[string]string{}
	for _, s := range all {
		want[s.name] = s.text
	}
	written := all[0].text
	for _, s := range all[1:] {
		name, ok := strings.CutSuffix(s.name, ".yaml")
		if !ok {
			continue
		}
		_, err := Parse("gateway.yaml", []byte(s.text), environOf(s.text))
		var problems Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: error is %v, want Problems", name, err)
			continue
		}
		got := err.Error() + "\n\n"
		if !*update && got != want[name+".txt"] {
			t.Errorf("%s:\n got:\n%s want:\n%s", name, got, want[name+".txt"])
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("%s: a secret is told", name)
		}
		written += fmt.Sprintf("-- %s --\n%s-- %s.txt --\n%s", s.name, s.text, name, got)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(written), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
