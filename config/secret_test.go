package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestK07SecretsDoNotShow(t *testing.T) {
	type holder struct {
		S Secret
		U StoreURL
	}
	h := holder{"hunter2", "redis://u:pa/hunter2@x@h:1/0"}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "s", h.S, "u", h.U, "h", h)
	asJSON, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{log.String(), string(asJSON), string(asYAML), h.S.String(), h.U.String(), fmt.Sprint(&h.S, &h.U)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, h), fmt.Sprintf(verb, h.S), fmt.Sprintf(verb, h.U))
	}
	for _, s := range shown {
		if strings.Contains(s, "hunter2") || strings.Contains(s, "68756e74657232") || strings.Contains(s, "pa/") {
			t.Errorf("the secret shows in %s", s)
		}
	}
	if h.S.Reveal() != "hunter2" || Secret("").String() != "" {
		t.Error("Reveal or the empty secret is wrong")
	}
	if got := h.U.String(); got != "redis://[redacted]@h:1/0" {
		t.Errorf("store URL shows as %s", got)
	}
	if got := StoreURL("file:/a@b").String(); got != "file:/a@b" {
		t.Errorf("store URL shows as %s", got)
	}
}

func TestReadSecret(t *testing.T) {
	t.Chdir(t.TempDir())
	for content, want := range map[string]string{
		"s": "s", "s\n": "s", "s\r\n": "s", "s\n\n": "s\n", " s ": " s ", "\n": "", "": "", "a\nb": "a\nb",
	} {
		if err := os.WriteFile("f", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := File("f").ReadSecret(); err != nil || got.Reveal() != want {
			t.Errorf("%q is read as %q (%v), want %q", content, got.Reveal(), err, want)
		}
	}
	if _, err := File("none").ReadSecret(); err == nil {
		t.Error("a missing file gives no error")
	}
}

func TestScalarText(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0s", "30s": "30s", "90s": "1m30s", "12h": "12h", "1h0m": "1h", "200ms": "200ms", "1h30m": "1h30m", "60m5s": "1h0m5s",
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != want {
			t.Errorf("duration %s: %s, %v, want %s", text, d, err, want)
		}
	}
	for _, text := range []string{"", "1", "-1s", "1d", "1 s", "300000000h"} {
		if err := new(Duration).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("duration %q is accepted", text)
		}
	}
	for text, want := range map[string]string{
		"0": "0", "1": "1B", "512B": "512B", "1024": "1KiB", "32KiB": "32KiB", "1536KiB": "1536KiB", "10MiB": "10MiB", "2GiB": "2GiB", "0MiB": "0",
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s.String() != want {
			t.Errorf("size %s: %s, %v, want %s", text, s, err, want)
		}
	}
	for _, text := range []string{"", "B", "KiB", "-1", "+1", "1.5KiB", "1 KiB", "1kib", "1KB", "1K", "9999999999GiB", "9223372036854775808"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("size %q is accepted", text)
		}
	}
}

func TestRateText(t *testing.T) {
	for text, want := range map[string]string{
		"10/5m": "10/5m", "1/1s": "1/1s", "0": "off", "off": "off", "50/60m": "50/1h", "1000000/24h": "1000000/24h", "3/1m30s": "3/1m30s",
	} {
		r := Rate{9, 9}
		if err := r.UnmarshalText([]byte(text)); err != nil || r.String() != want {
			t.Errorf("rate %s: %s, %v, want %s", text, r, err, want)
		}
		if again := (Rate{}); again.UnmarshalText([]byte(r.String())) != nil || again != r {
			t.Errorf("rate %s: is read again as %s", r, again)
		}
	}
	for _, text := range []string{"", "/", "10", "1/", "/5m", "0/5m", "-1/5m", "+1/5m", "01/5m", "1/0s", "1/-5m", "1/999ms", "1/24h1s", "1000001/5m", "1/5", "1/5m/5m", "1.5/5m", "on"} {
		if err := new(Rate).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("rate %q is accepted", text)
		}
	}
}

func TestSuggest(t *testing.T) {
	names := []string{"auth", "issuers", "name", "kid"}
	for wrong, want := range map[string]string{
		"atuh": "auth", "AUTH": "auth", "issuer": "issuers", "isuers": "issuers", "nam": "name", "kd": "kid", "kidd": "kid",
		"xyz": "", "": "", "authentication": "", "k": "",
	} {
		if want != "" {
			want = ` (did you mean "` + want + `"?)`
		}
		if got := suggest(wrong, names); got != want {
			t.Errorf("suggest(%q) = %q, want %q", wrong, got, want)
		}
	}
}
