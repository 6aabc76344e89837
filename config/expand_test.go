package config

import (
	"io/fs"
	"testing"
)

func TestC08Expand(t *testing.T) {
	e := expander{
		environ: map[string]string{"A": "a", "EMPTY": "", "SLY": "${A}$${A}${file:f}", "_x1": "u"},
		read: func(path string) (string, error) {
			if path != "f" {
				return "", fs.ErrNotExist
			}
			return "${A} in a file", nil
		},
	}
	for text, want := range map[string]string{
		"":                      "",
		"plain $ $$ $A }":       "plain $ $$ $A }",
		"${A}":                  "a",
		"x${A}y${A}z":           "xayaz",
		"${_x1}":                "u",
		"${EMPTY}":              "",
		"${EMPTY:-d}":           "d",
		"${NONE:-d}":            "d",
		"${NONE:-}":             "",
		"${NONE:-a:-b}":         "a:-b",
		"${A:-d}":               "a",
		"${SLY}":                "${A}$${A}${file:f}",
		"${NONE:-$A}":           "$A",
		"${file:f}":             "${A} in a file",
		"$${A}":                 "${A}",
		"$$${A}":                "$${A}",
		"$${":                   "${",
		"$2a$10$bcrypt${EMPTY}": "$2a$10$bcrypt",
	} {
		got, _, wrong := e.expand(text)
		if got != want || wrong != "" {
			t.Errorf("%q becomes %q (%s), want %q", text, got, wrong, want)
		}
	}
	for _, text := range []string{"${", "${A", "${}", "${1A}", "${A-d}", "${ A}", "${NONE}", "${file:g}", "${FILE:f}", "${A${A}}"} {
		if got, _, wrong := e.expand(text); wrong == "" {
			t.Errorf("%q becomes %q, want an error", text, got)
		}
	}
}
