package test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// instruction is one line of the Dockerfile, continued lines joined.
type instruction struct{ name, rest string }

func dockerfile(t *testing.T) []instruction {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	var all []instruction
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		all = append(all, instruction{name, strings.TrimSpace(rest)})
	}
	return all
}

// finalStage are the instructions after the last FROM.
func finalStage(all []instruction) []instruction {
	last := 0
	for i, in := range all {
		if in.name == "FROM" {
			last = i
		}
	}
	return all[last:]
}

func TestX03Image(t *testing.T) {
	all := dockerfile(t)
	for _, in := range all {
		if in.name == "FROM" && !strings.HasPrefix(in.rest, "${") {
			t.Errorf("FROM %s: the base image cannot be replaced by a build argument", in.rest)
		}
	}
	final := finalStage(all)
	for _, want := range []instruction{
		{"USER", "65532:65532"},
		{"VOLUME", "/data"},
		{"ENTRYPOINT", `["/gatehouse"]`},
		{"CMD", `["serve"]`},
	} {
		if !slices.Contains(final, want) {
			t.Errorf("the image lacks %s %s", want.name, want.rest)
		}
	}
	for _, in := range final {
		switch {
		case in.name == "RUN":
			t.Errorf("RUN %s: the base image has no shell", in.rest)
		case in.name == "HEALTHCHECK" && !strings.HasSuffix(in.rest, `CMD ["/gatehouse", "healthcheck"]`):
			t.Errorf("HEALTHCHECK %s", in.rest)
		case in.name == "COPY" && !strings.HasPrefix(in.rest, "--from"):
			from := strings.Fields(in.rest)[0]
			if _, err := os.Stat(filepath.Join(root, from)); err != nil {
				t.Errorf("COPY %s: %v", in.rest, err)
			}
		}
	}
	if !slices.ContainsFunc(final, func(in instruction) bool { return in.name == "HEALTHCHECK" }) {
		t.Error("the image lacks a HEALTHCHECK")
	}
}

// There is no container engine in every place where tests run; the line that
// builds the binary runs everywhere.
func TestImageBuildLine(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the whole binary without the build cache's help")
	}
	all := dockerfile(t)
	i := slices.IndexFunc(all, func(in instruction) bool { return in.name == "RUN" && strings.Contains(in.rest, "go build") })
	if i < 0 {
		t.Fatal("the Dockerfile builds nothing")
	}
	out := t.TempDir()
	build := exec.Command("sh", "-c", strings.ReplaceAll(all[i].rest, "/out/", out+"/"))
	build.Dir = root
	build.Env = append(os.Environ(), "VERSION=v9.8.7", "COMMIT=0123abcd")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", all[i].rest, err, text)
	}
	binary := filepath.Join(out, "gatehouse")
	if runtime.GOOS == "linux" {
		checkStatic(t, binary)
	}
	text, err := exec.Command(binary, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(text), "v9.8.7") || !strings.Contains(string(text), "0123abcd") {
		t.Errorf("version: %v, %s; want what the build arguments say", err, text)
	}
}

func checkStatic(t *testing.T, binary string) {
	t.Helper()
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			t.Error("the binary needs a dynamic linker, which the base image has not")
		}
	}
}

// The Makefile and the Dockerfile build the same binary.
func TestMakefileBuildsAsTheImage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`-X (gatehouse/\S+?)=`)
	var image []string
	for _, in := range dockerfile(t) {
		for _, match := range variable.FindAllStringSubmatch(in.rest, -1) {
			image = append(image, match[1])
		}
	}
	for _, name := range image {
		if !strings.Contains(string(text), "-X "+name+"=") {
			t.Errorf("the Makefile does not set %s", name)
		}
	}
	if len(image) == 0 {
		t.Error("the image does not know its version")
	}
}
