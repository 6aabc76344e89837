package token

import "testing"

func TestA04CanonicalUsernames(t *testing.T) {
	for name, want := range map[string]string{
		"jane":             "jane",
		"Jane@Example.COM": "jane@example.com",
		"ＪＡＮＥ":             "jane",        // wide
		"ju\u0308rgen":     "j\u00fcrgen", // decomposed
		"JÜRGEN":           "jürgen",
		"user.name+tag-1_": "user.name+tag-1_",
	} {
		got, ok := CanonicalUsername(name)
		if !ok || got != want {
			t.Errorf("%q: %q %t, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"", " ", "jane ", "jane doe", "ja\x00ne", "ja\nne", "jane\u200b", "\xff", noUsername, "ⅳ", "♚"} {
		if got, ok := CanonicalUsername(name); ok {
			t.Errorf("%q is the name %q", name, got)
		}
	}
}

// A canonical name is its own canonical name: it is looked up by what is stored.
func FuzzCanonicalUsername(f *testing.F) {
	for _, name := range []string{"jane", "Jane@Example.COM", "ＪＡＮＥ", "ΣΊΣΥΦΟΣ", "İ", "\u1e9e", "\u0345", "\xff", "שלום", "ﷺ", noUsername} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		canonical, ok := CanonicalUsername(name)
		if !ok {
			return
		}
		if again, ok := CanonicalUsername(canonical); !ok || again != canonical {
			t.Errorf("%q: %q, then %q %t", name, canonical, again, ok)
		}
	})
}
