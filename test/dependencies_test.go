package test

import (
	"encoding/json"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// oldestGo is the first release that has the fixes of August 2026 to net/http
// and net/url.
const oldestGo = "1.26.6"

type goMod struct {
	Go      string
	Require []struct{ Path string }
	Replace []struct{ Old, New struct{ Path string } }
}

func readGoMod(t *testing.T) goMod {
	t.Helper()
	edit := exec.Command("go", "mod", "edit", "-json")
	edit.Dir = root
	out, err := edit.Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod goMod
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	return mod
}

// direct are the modules that our own code imports, tests included.
func direct(t *testing.T, mod goMod) []string {
	t.Helper()
	var modules []string
	for _, s := range sources(t) {
		for _, imported := range s.imports() {
			longest := ""
			for _, required := range mod.Require {
				if (imported == required.Path || strings.HasPrefix(imported, required.Path+"/")) && len(required.Path) > len(longest) {
					longest = required.Path
				}
			}
			if longest != "" && !slices.Contains(modules, longest) {
				modules = append(modules, longest)
			}
		}
	}
	slices.Sort(modules)
	return modules
}

func TestHouseDependenciesHaveReasons(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|(.*)\\|(.*)\\|$").FindAllStringSubmatch(string(page), -1) {
		rows = append(rows, row[1])
		if strings.TrimSpace(row[2]) == "" || strings.TrimSpace(row[3]) == "" {
			t.Errorf("%s: the row gives no reason, or no alternative", row[1])
		}
	}
	slices.Sort(rows)
	used := direct(t, readGoMod(t))
	for _, module := range used {
		if !slices.Contains(rows, module) {
			t.Errorf("%s is imported and has no row in docs/dependencies.md", module)
		}
	}
	for _, module := range rows {
		if !slices.Contains(used, module) {
			t.Errorf("%s has a row in docs/dependencies.md and is not imported", module)
		}
	}
	if len(slices.Compact(rows)) != len(rows) {
		t.Error("a module has two rows in docs/dependencies.md")
	}
}

func TestX01DependenciesAreWhatTheySay(t *testing.T) {
	if replaced := readGoMod(t).Replace; len(replaced) != 0 {
		t.Errorf("go.mod replaces %v", replaced)
	}
}

func TestX02GoIsNotOlderThanItsFixes(t *testing.T) {
	if got := readGoMod(t).Go; version.Compare("go"+got, "go"+oldestGo) < 0 {
		t.Errorf("go.mod asks for Go %s, want %s or newer", got, oldestGo)
	}
}
