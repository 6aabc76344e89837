package config

import (
	"strings"
	"testing"
)

// What is printed is the config itself: it loads again and prints the same.
func TestPrintAgain(t *testing.T) {
	first := mustParse(t, string(full(t)))
	printed, err := first.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "0123456789abcdef"} {
		if strings.Contains(string(printed), secret) {
			t.Errorf("a secret is printed:\n%s", printed)
		}
	}
	for _, want := range []string{
		"listen: 127.0.0.1:8081", "url: rediss+sentinel://[redacted]@h1:26379,h2:26379/0?master=main", "'[redacted]'", "$${literal}",
		"timeout: 15s", "api_key_id: X-App", `not_after: 2027-01-01T00:00:00Z`,
	} {
		if !strings.Contains(string(printed), want) {
			t.Errorf("%q is not printed:\n%s", want, printed)
		}
	}
	second := mustParse(t, string(printed))
	again, err := second.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(printed) {
		t.Errorf("printed again:\n%s\nfirst:\n%s", again, printed)
	}
	same(t, "routes", second.Routes, first.Routes)
	same(t, "server", second.Server, first.Server)
}
