package config

import (
	"os"
	"strings"
	"testing"
)

// FuzzParse: no content makes Parse panic, and a config that is accepted prints as
// one that is accepted and prints the same.
func FuzzParse(f *testing.F) {
	archive, err := os.ReadFile("testdata/problems.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range sections(string(archive)) {
		if strings.HasSuffix(s.name, ".yaml") {
			f.Add([]byte(s.text))
		}
	}
	data, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(Template(Fresh{}))
	f.Add([]byte("a: &a [*a]\n? {}\n: !!binary x\n"))
	f.Add([]byte("routes: [{name: a, match: /, auth: none, upstream: \"http://[::1]:1\"}]\nadmin: {token: '$${A}'}\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(dir+"/gateway.yaml", data, []string{"A=b"})
		if err != nil {
			if _, ok := err.(Problems); !ok {
				t.Fatalf("error is no Problems: %v", err)
			}
			return
		}
		printed, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(dir+"/gateway.yaml", printed, nil)
		if err != nil {
			t.Fatalf("%v\n%s\nfrom\n%s", err, printed, data)
		}
		if twice, err := again.YAML(); err != nil || string(twice) != string(printed) {
			t.Fatalf("prints as\n%s\nand then as\n%s (%v)", printed, twice, err)
		}
	})
}
