package auth

import (
	"crypto/fips140"
	"crypto/sha256"
	"strings"
	"testing"
)

// No change of a token, however small, is taken for the token.
func TestFingerprints(t *testing.T) {
	of, err := newFingerprints()
	if err != nil {
		t.Fatal(err)
	}
	another, err := newFingerprints()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789abcdef", 60) // 960 bytes, 60 blocks
	if of(text) != of(strings.Clone(text)) || !fips140.Enforced() && of(text) == another(text) || of("") == (fingerprint{}) {
		t.Error("a fingerprint is not one text's under one key")
	}
	seen := map[fingerprint]int{of(text): -1}
	differ := func(i int, text string) {
		if j, found := seen[of(text)]; found {
			t.Fatalf("changes %d and %d have one fingerprint", i, j)
		}
		seen[of(text)] = i
	}
	for i := range len(text) {
		for bit := range 8 {
			b := []byte(text)
			b[i] ^= 1 << bit
			differ(8*i+bit, string(b))
		}
		differ(-2-i, text[:i])
	}
	differ(1<<20, text+"\x00")
	differ(1<<20+1, text[16:]+text[:16]+text) // blocks in another order
}

// BenchmarkFingerprint is for a token of RS256, beside what it replaces.
func BenchmarkFingerprint(b *testing.B) {
	of, err := newFingerprints()
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("a", 880)
	b.Run("GMAC", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			of(text)
		}
	})
	b.Run("SHA-256", func(b *testing.B) {
		for b.Loop() {
			sha256.Sum256([]byte(text))
		}
	})
}
