package test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/config"
)

var update = flag.Bool("update", false, "write the generated and expected files anew")

// generated are the files that are made from the code.
var generated = []struct {
	path string
	text func() (string, error)
}{
	{"docs/configuration.md", func() (string, error) { return config.Reference(), nil }},
	{"docs/gateway.schema.json", func() (string, error) {
		text, err := config.Schema()
		return string(text) + "\n", err
	}},
}

func TestHouseGeneratedFilesAreUpToDate(t *testing.T) {
	for _, g := range generated {
		want, err := g.text()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(root, filepath.FromSlash(g.path))
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what the code says (%v); write it with: make docs", g.path, err)
		}
	}
}
