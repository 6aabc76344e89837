package test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The page of the admin API has every address and every code that the code has.
func TestAdminAPIPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "admin-api.md"))
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile("(?m)^\\| `[A-Z]+ (/[^`]*)` \\|")
	code := regexp.MustCompile("`([a-z]+(?:_[a-z]+)+)`")
	var documented []string
	for _, match := range address.FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, match[1])
	}
	var served []string
	for _, s := range sources(t) {
		if s.pkg != "admin" || s.test {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, s.path))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`\{"(/[^"]+)", (?:true|false), map`).FindAllStringSubmatch(string(text), -1) {
			served = append(served, match[1])
		}
		for _, match := range regexp.MustCompile(`namedProblem\([^,]+, "([a-z_]+)"`).FindAllStringSubmatch(string(text), -1) {
			if !slices.ContainsFunc(code.FindAllStringSubmatch(string(page), -1), func(m []string) bool { return m[1] == match[1] }) {
				t.Errorf("docs/admin-api.md lacks the code %s", match[1])
			}
		}
	}
	slices.Sort(documented)
	slices.Sort(served)
	documented, served = slices.Compact(documented), slices.Compact(served)
	if !slices.Equal(documented, served) {
		t.Errorf("docs/admin-api.md has the addresses\n%s\nand the handler\n%s", strings.Join(documented, "\n"), strings.Join(served, "\n"))
	}
}
