package threats

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rows are the kinds of attack, and how many of each are known.
var rows = map[string]int{"J": 36, "T": 14, "K": 11, "H": 16, "P": 20, "S": 12, "R": 25, "A": 18, "Q": 10, "L": 9, "D": 16, "C": 11, "M": 4, "G": 4, "X": 3}

const root = "../.."

var (
	testNamed = regexp.MustCompile(`(?m)^func Test((?:[A-Z][0-9]{2})+)\w*\(`)
	id        = regexp.MustCompile(`[A-Z][0-9]{2}`)
	line      = regexp.MustCompile(`(?m)^\| ([A-Z][0-9]{2}) \|.*$`)
)

// Each row stands in docs/threats.md, and has a test that is named after it or
// says there why it has none.
func TestEveryThreatHasATest(t *testing.T) {
	tested := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testNamed.FindAllStringSubmatch(string(text), -1) {
			for _, id := range id.FindAllString(m[1], -1) {
				tested[id] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "threats.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, m := range line.FindAllStringSubmatch(string(text), -1) {
		if told[m[1]] != "" {
			t.Errorf("docs/threats.md has two lines for %s", m[1])
		}
		told[m[1]] = m[0]
	}
	for _, kind := range slices.Sorted(maps.Keys(rows)) {
		for n := 1; n <= rows[kind]; n++ {
			id := fmt.Sprintf("%s%02d", kind, n)
			excused := strings.Contains(told[id], "No test:")
			switch {
			case told[id] == "":
				t.Errorf("docs/threats.md has no line for %s", id)
			case !tested[id] && !excused:
				t.Errorf("no test is named after %s, and docs/threats.md does not say why", id)
			case tested[id] && excused:
				t.Errorf("docs/threats.md says that %s has no test, but it has", id)
			}
		}
	}
}
