package test

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines     = 500
	maxFunctionLines = 60
)

func TestHouseSizes(t *testing.T) {
	for _, s := range sources(t) {
		if s.lines > maxFileLines {
			t.Errorf("%s has %d lines; split it at %d", s.path, s.lines, maxFileLines)
		}
		if s.test {
			continue
		}
		for _, declared := range s.file.Decls {
			function, ok := declared.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := s.set.Position(function.End()).Line - s.set.Position(function.Pos()).Line + 1; n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, want at most %d", s.path, function.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

func TestHousePackageDocs(t *testing.T) {
	docs := map[string][]string{}
	for _, s := range sources(t) {
		if s.test || s.file.Name.Name == "main" {
			continue
		}
		docs[s.pkg] = append(docs[s.pkg], "")
		if s.file.Doc != nil {
			docs[s.pkg][0] += s.path + " "
			if want := "Package " + s.file.Name.Name; !strings.HasPrefix(s.file.Doc.Text(), want) {
				t.Errorf("%s: the package doc does not begin with %q", s.path, want)
			}
		}
	}
	for pkg, in := range docs {
		if n := len(strings.Fields(in[0])); n != 1 {
			t.Errorf("%s has %d package docs (%s), want 1", pkg, n, in[0])
		}
	}
}

// A file is called after the noun that it defines.
func TestHouseNames(t *testing.T) {
	for _, s := range sources(t) {
		for _, name := range []string{path.Base(s.path), path.Base(s.pkg) + ".go"} {
			if slices.Contains([]string{"util.go", "utils.go", "common.go", "helper.go", "helpers.go", "types.go", "misc.go"}, name) {
				t.Errorf("%s is called after nothing", s.path)
			}
		}
	}
}

// banned are names that code may not use, tests aside.
var banned = []struct {
	name string // a method, or package.name
	why  string
}{
	{"ParseUnverified", "J28: nothing is decided by what was not verified"},
	{"WithoutClaimsValidation", "J28: there is no way to switch checks off"},
	{"http.DefaultServeMux", "M01: what a library registers there is served to everybody"},
	{"http.HandleFunc", "M01: it is the default mux"},
	{"http.Handle", "M01: it is the default mux"},
	{"http.ListenAndServe", "D01: it is a server without timeouts"},
	{"http.ListenAndServeTLS", "D01: it is a server without timeouts"},
	{"http.DefaultTransport", "it takes a proxy from the environment and has no timeouts"},
	{"http.DefaultClient", "it has no timeout"},
	{"http.Get", "it is the default client"},
	{"http.Post", "it is the default client"},
	{"slog.Default", "loggers are handed in"},
	{"os.Exit", "only main ends the process"},
	{"log.Fatal", "only main ends the process"},
	{"jwt.SigningMethodNone", "J01"},
}

// ends are the programs, which may end the process.
var ends = []string{"main.go", "test/bench/floor/main.go", "test/bench/load/main.go", "test/bench/upstream/main.go"}

func TestHouseBannedNames(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			selector, ok := node.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			name := selector.Sel.Name
			full := name
			if owner, ok := selector.X.(*ast.Ident); ok {
				full = owner.Name + "." + name
			}
			for _, b := range banned {
				if b.name != name && b.name != full || strings.HasPrefix(b.why, "only main") && slices.Contains(ends, s.path) {
					continue
				}
				t.Errorf("%s uses %s: %s", s.set.Position(selector.Pos()), full, b.why)
			}
			return true
		})
		for _, declared := range s.file.Decls {
			if function, ok := declared.(*ast.FuncDecl); ok && function.Name.Name == "init" && function.Recv == nil {
				t.Errorf("%s has an init function: nothing happens before main", s.path)
			}
		}
	}
}

// Work that is left over is an issue, not a comment.
func TestHouseNothingIsLeftOver(t *testing.T) {
	leftOver := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	for _, s := range sources(t) {
		for _, group := range s.file.Comments {
			if leftOver.MatchString(group.Text()) {
				t.Errorf("%s: %s", s.set.Position(group.Pos()), strings.TrimSpace(group.Text()))
			}
		}
	}
}
