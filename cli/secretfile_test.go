package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadSecret(t *testing.T) {
	for _, c := range []struct{ text, want, err string }{
		{"secret", "secret", ""},
		{"secret\n", "secret", ""},
		{"secret\r\n", "secret", ""},
		{"secret\n\n", "secret\n", ""}, // one line end is the editor's, two are not
		{" secret ", " secret ", ""},
		{"", "", "nothing was given"},
		{"\n", "", "nothing was given"},
		{strings.Repeat("x", maxSecretBytes), strings.Repeat("x", maxSecretBytes), ""},
		{strings.Repeat("x", maxSecretBytes+1), "", "more than 64 KiB"},
	} {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"-", file} {
			p, _, _ := newProgram(c.text)
			got, err := p.readSecret(name, "Secret")
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%.10q is read as %.10q, %v; want %.10q, %q", c.text, got, err, c.want, c.err)
			}
		}
	}
}
