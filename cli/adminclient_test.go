package cli

import (
	"strings"
	"testing"
)

func TestDialable(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:9090":   "127.0.0.1:9090",
		":9090":            "127.0.0.1:9090",
		"0.0.0.0:9090":     "127.0.0.1:9090",
		"[::]:9090":        "[::1]:9090",
		"[fe80::1]:9090":   "[fe80::1]:9090",
		"gw.internal:9090": "gw.internal:9090",
		"127.0.0.1:0":      "",
		"nonsense":         "",
	} {
		if got, err := dialable(listen); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", listen, got, err, want)
		}
	}
}

func TestProblemOf(t *testing.T) {
	for body, want := range map[string]string{
		`{"code":"not_found","title":"There is nothing"}`:              "404 not_found: There is nothing",
		`{"code":"not_found","title":"Nothing","detail":"look there"}`: "404 not_found: Nothing: look there",
		`<html>`:       "is that a gatehouse?",
		`{"status":1}`: "is that a gatehouse?",
	} {
		if got := problemOf(404, []byte(body)).Error(); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q in it", body, got, want)
		}
	}
}
