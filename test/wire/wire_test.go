// Package wire plays transcripts of the token endpoints to the built program,
// on the embedded store: what is sent, and what must come back, to the byte but
// for what differs each time. `go test ./test/wire -update` writes what came.
//
// A transcript has a gateway of its own. Lines of its comment that begin with
// `env` alter the configuration (rig.TokenService says what can be altered).
// Each exchange has up to three sections:
//
//   - NAME.request: as it is sent, less the version, Host, Connection and
//     Content-Length. `{NAME.access}` and `{NAME.refresh}` are the tokens of
//     an earlier answer, `{basic ID:SECRET}` is that in Base64, `{a*20}` is a
//     twenty times.
//   - NAME.answer: status, headers and body. Headers that every answer has are
//     checked and left out. JSON is sorted by name.
//   - NAME.token: header and claims of the first new token in the answer.
package wire

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"gatehouse/test/rig"
)

var update = flag.Bool("update", false, "write the answers that came into the transcripts")

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(name, ".txtar"), func(t *testing.T) {
			t.Parallel()
			before, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			after := play(t, txtar.Parse(before))
			if *update && !t.Failed() {
				if err := os.WriteFile(name, txtar.Format(after), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// play sends a transcript's requests one after the other, and returns it with
// the answers that came.
func play(t *testing.T, script *txtar.Archive) *txtar.Archive {
	t.Helper()
	cfg := rig.TokenService("file:gatehouse.db", rig.StartUpstream(t).URL)
	for line := range strings.Lines(string(script.Comment)) {
		if setting, found := strings.CutPrefix(line, "env "); found {
			name, value, _ := strings.Cut(strings.TrimSpace(setting), "=")
			cfg.Env[name] = value
		}
	}
	g, seen := rig.Start(t, cfg), &seen{values: map[string]string{}, names: map[string]string{}}
	sections := map[string]string{}
	for _, f := range script.Files {
		sections[f.Name] = string(f.Data)
	}
	played := &txtar.Archive{Comment: script.Comment}
	used := 0
	for _, f := range script.Files {
		name, isRequest := strings.CutSuffix(f.Name, ".request")
		if !isRequest {
			continue
		}
		answer, token := seen.normal(t, name, g.Send(t, seen.request(t, string(f.Data))))
		played.Files = append(played.Files, f, txtar.File{Name: name + ".answer", Data: []byte(answer)})
		used += 2
		compare(t, name+".answer", answer, sections[name+".answer"])
		if token != "" {
			played.Files = append(played.Files, txtar.File{Name: name + ".token", Data: []byte(token)})
		}
		if sections[name+".token"] != "" {
			used++
			compare(t, name+".token", token, sections[name+".token"])
		}
	}
	if used != len(script.Files) && !*update {
		t.Errorf("%d of the %d sections are played", used, len(script.Files))
	}
	return played
}

// compare fails the test when what came is not what stands in the transcript.
func compare(t *testing.T, name, got, want string) {
	t.Helper()
	if want := tidy(want); got != want && !*update {
		t.Errorf("%s", diff.Diff(name+" as it must be", []byte(want), name+" as it came", []byte(got)))
	}
}
