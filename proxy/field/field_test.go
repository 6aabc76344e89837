package field

import (
	"strings"
	"testing"
)

func TestIsValue(t *testing.T) {
	for _, around := range []string{"", "a", "0123456", "01234567", "0123456789abcdef\x80\xff ~"} {
		for c := range 256 {
			for _, s := range []string{around + string([]byte{byte(c)}) + around, string([]byte{byte(c)}) + around, around + "\t" + around + string([]byte{byte(c)})} {
				if want := c == '\t' || c >= ' ' && c != 0x7f; IsValue(s) != want || IsValue([]byte(s)) != want {
					t.Errorf("%q: %t", s, !want)
				}
			}
		}
	}
}

func BenchmarkIsValue(b *testing.B) {
	token := strings.Repeat("eyJhbGciOi", 88)
	for b.Loop() {
		if !IsValue(token) {
			b.Fatal("not a value")
		}
	}
}

func BenchmarkIsValueOfBytes(b *testing.B) {
	token := []byte(strings.Repeat("eyJhbGciOi", 88))
	for b.Loop() {
		if !IsValue(token) {
			b.Fatal("not a value")
		}
	}
}
