// Package field knows of what bytes a header field is made (RFC 9110 §5). It is asked
// about every byte that comes, and again about those that go on.
package field

// IsValue reports whether a value can stand in a header (RFC 9110 §5.5): whether it
// has no control character but HTAB. It looks at eight bytes at a time, and at each
// one from where there may be one that cannot.
func IsValue[S ~string | ~[]byte](s S) bool {
	const each = 0x0101010101010101
	for ; len(s) >= 8; s = s[8:] {
		v := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		del := v ^ 0x7f*each
		// A byte's top bit is set where it is below the space, or is DEL.
		if ((v-' '*each)&^v|(del-each)&^del)&(0x80*each) != 0 {
			break
		}
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
