package auth

import (
	"crypto/sha256"
	"regexp"
	"testing"
)

func TestNewAPIKeySecret(t *testing.T) {
	form := regexp.MustCompile(`^gh_[A-Za-z0-9_-]{48}$`)
	seen := map[string]bool{}
	for range 100 {
		plain, sum := NewAPIKeySecret()
		if !form.MatchString(plain) {
			t.Fatalf("a key of the form %q", plain)
		}
		if sum != sha256.Sum256([]byte(plain)) {
			t.Fatal("the sum is not that of the key")
		}
		if MistypedAPIKey(plain) {
			t.Fatalf("a fresh key counts as mistyped")
		}
		seen[plain] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d of 100 keys are different", len(seen))
	}
}

func TestMistypedAPIKey(t *testing.T) {
	plain, _ := NewAPIKeySecret()
	for i := len(apiKeyPrefix); i < len(plain); i++ {
		changed := []byte(plain)
		if changed[i]++; changed[i] == '{' || changed[i] == '[' || changed[i] == ':' || changed[i] == '`' || changed[i] == '.' {
			changed[i] = 'a'
		}
		if string(changed) != plain && !MistypedAPIKey(string(changed)) {
			t.Errorf("a wrong character at %d is not noticed", i)
		}
	}
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"truncated":        {plain[:len(plain)-1], true},
		"one too many":     {plain + "A", true},
		"prefix alone":     {"gh_", true},
		"not base64url":    {plain[:20] + "+" + plain[21:], true},
		"somebody else's":  {"sk_live_0123456789", false},
		"empty":            {"", false},
		"prefix elsewhere": {"x" + plain, false},
	} {
		if got := MistypedAPIKey(tt.text); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
