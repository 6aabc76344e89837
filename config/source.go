package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// source is where a Config came from: for errors, the watcher and relative
// paths.
type source struct {
	file      string              // as the caller named it
	folder    string              // relative paths are read from it
	positions map[string]position // by path, of every key and list item that is written
	files     []string
	warnings  []string
}

// position is where a value stands.
type position struct {
	variable     string // the environment variable that it came from, "" for the file
	line, column int
}

func newSource(file string) (source, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return source{}, err
	}
	return source{file: file, folder: filepath.Dir(abs), positions: map[string]position{}, files: []string{abs}}, nil
}

// Problem returns a problem with the value at path, for errors that are found
// later than Load, as in a key that cannot be parsed. Its position is that of
// the nearest parent that is written, at worst the file's beginning.
func (s *source) Problem(path, format string, args ...any) Problem {
	p := Problem{File: s.file, Line: 1, Column: 1, Path: path, Message: fmt.Sprintf(format, args...)}
	for at := path; at != ""; at = parent(at) {
		pos, ok := s.positions[at]
		if !ok {
			continue
		}
		p.Line, p.Column = pos.line, pos.column
		if pos.variable != "" {
			p.File = "environment variable " + pos.variable
		}
		break
	}
	return p
}

// parent returns the path of what contains the value at path: a.b for a.b.c and
// for a.b[0].
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// written reports whether the value at path stands in the file or in a variable,
// and is not a default.
func (s *source) written(path string) bool {
	_, ok := s.positions[path]
	return ok
}

// line returns " (line 12)" for a path in the file, to point at another key.
func (s *source) line(path string) string {
	if pos := s.positions[path]; pos.line > 0 {
		return fmt.Sprintf("%s (line %d)", path, pos.line)
	}
	return path
}

// Name returns the name under which the config was loaded.
func (s *source) Name() string { return s.file }

// Files returns the absolute path of every file that was read or is named: the
// config, what ${file:…} brought in, keys, certificates. A change of any of them
// may change what the config means.
func (s *source) Files() []string { return slices.Clone(s.files) }

// Warnings returns what is allowed and yet deserves a look, one line each.
func (s *source) Warnings() []string { return slices.Clone(s.warnings) }

// resolve returns the absolute path that a path in the config means.
func (s *source) resolve(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(s.folder, path)
}

// use notes that the config depends on the file, and warns when it holds a
// secret that others can read.
func (s *source) use(path string, file File, secret bool) {
	if !slices.Contains(s.files, string(file)) {
		s.files = append(s.files, string(file))
	}
	if secret && file.open() {
		s.warnings = append(s.warnings, s.Problem(path, "others than its owner can read or change the file, which holds a secret: chmod 600").Error())
	}
}
