package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a config, and where.
type Problem struct {
	File         string // as the caller named it, or the environment variable at fault
	Line, Column int    // from 1; Line 0 where there is no position
	Path         string // of the key, as in routes[0].match; empty: the file as a whole
	Message      string // never contains a value of the config, only names and keys
}

// Error returns file:line:column: key.path: what is wrong.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	b.WriteString(": " + p.Message)
	return b.String()
}

// Problems is everything that is wrong with a config.
type Problems []Problem

// Error returns the problems one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Sort puts the problems in the order of the file, those of the environment
// first.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			strings.Compare(a.File, b.File), strings.Compare(a.Path, b.Path))
	})
}
