package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page of codes and metrics has all that the code has, with status and labels.
func TestOperationsPage(t *testing.T) {
	text := func(path ...string) string {
		data, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	page := text("docs", "operations.md")
	reasons := regexp.MustCompile(`: +\{"([a-z_]+)", (\d+), "`).FindAllStringSubmatch(text("auth", "reason.go"), -1)
	if len(reasons) < 30 {
		t.Fatalf("found the reasons %v", reasons)
	}
	for _, r := range reasons {
		if row := fmt.Sprintf("\n| %s | `%s` |", r[2], r[1]); r[1] != "ok" && !strings.Contains(page, row) {
			t.Errorf("docs/operations.md lacks %q", row)
		}
	}
	for name, labels := range metricLabels(t) {
		row := fmt.Sprintf("\n| `%s` | ", name)
		if len(labels) > 0 {
			row += "`" + strings.Join(labels, "` `") + "` "
		}
		if !strings.Contains(page, row+"|") {
			t.Errorf("docs/operations.md lacks %q", row)
		}
	}
}
