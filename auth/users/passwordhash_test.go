package users

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// Hashes of others: those of the reference implementations.
const (
	argonOther  = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc" // password
	argonLarge  = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	bcryptOther = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga" // allmine
)

func mustParse(t testing.TB, line string) PasswordHash {
	t.Helper()
	h, err := ParseHash(line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return h
}

// fastHash is a hash of the password that costs next to nothing.
func fastHash(t testing.TB, password string) string {
	t.Helper()
	h := shape{memory: 8, time: 1, threads: 1, saltLen: 8, keyLen: 16}.dummy()
	h.key = h.derive(password)
	return h.line()
}

// bcryptHash is one of bcrypt's cheapest.
func bcryptHash(t testing.TB, password string) string {
	t.Helper()
	line, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

func TestHash(t *testing.T) {
	one, err := Hash("correct horse")
	if err != nil || !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("the hash is %q, %v", one, err)
	}
	two, _ := Hash("correct horse")
	if one == two {
		t.Error("one password has one hash: there is no salt")
	}
	h := mustParse(t, one)
	if h.shape != defaultShape || !h.matches("correct horse") || h.matches("correct horsf") {
		t.Errorf("what was hashed does not match, or another does: %+v", h.shape)
	}
}

func TestHashesOfOthers(t *testing.T) {
	for _, c := range []struct{ line, password string }{
		{argonOther, "password"},
		{"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password"},
		{bcryptOther, "allmine"},
		{strings.Replace(bcryptOther, "$2a$", "$2b$", 1), "allmine"},
		{strings.Replace(bcryptOther, "$2a$", "$2y$", 1), "allmine"},
	} {
		h := mustParse(t, c.line)
		if !h.matches(c.password) || h.matches(c.password+"x") {
			t.Errorf("%s: matches wrongly", c.line)
		}
		if h.line() != c.line {
			t.Errorf("%s is written as %s", c.line, h.line())
		}
	}
}

func TestA08HostileHashParameters(t *testing.T) {
	argon := func(parameters string) string {
		return "$argon2id$v=19$" + parameters + "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	}
	for _, c := range []struct{ line, want string }{
		{"", "is no argon2id or bcrypt hash"},
		{"password", "is no argon2id or bcrypt hash"},
		{"5f4dcc3b5aa765d61d8327deb882cf99", "is no argon2id or bcrypt hash"},
		{strings.Replace(argonLarge, "argon2id", "argon2i", 1), "is no argon2id"},
		{strings.Replace(argonLarge, "v=19", "v=16", 1), "is no argon2id"},
		{argonLarge + "\n", "is no argon2id"},
		{argonLarge + "$x", "is no argon2id"},
		{argon("m=262145,t=2,p=1"), "m=262145, want 8 to 262144"},
		{argon("m=4294967296,t=2,p=1"), "is no argon2id"},
		{argon("m=7,t=2,p=1"), "m=7, want 8"},
		{argon("m=0,t=2,p=1"), "m=0, want 8"},
		{argon("m=64,t=2,p=16"), "m=64, want 128"},
		{argon("m=64,t=0,p=1"), "t=0, want 1 to 16"},
		{argon("m=64,t=17,p=1"), "t=17, want 1 to 16"},
		{argon("m=64,t=999999999,p=1"), "t=999999999"},
		{argon("m=64,t=1,p=0"), "p=0, want 1 to 16"},
		{argon("m=4096,t=1,p=17"), "p=17, want 1 to 16"},
		{argon("m=4096,t=1,p=257"), "p=257"}, // 1 as a byte
		{argon("m=064,t=1,p=1"), "one way"},
		{argon("m=-64,t=1,p=1"), "is no argon2id"},
		{argon("t=1,m=64,p=1"), "is no argon2id"},
		{strings.Replace(argonLarge, "PPc", "PPd", 1), "one way"},
		{strings.Replace(argonLarge, "c29tZXNhbHQ", "c29tZXNhbHR", 1), "one way"},
		{strings.Replace(argonLarge, "c29tZXNhbHQ", "c29tZXNhbHQAA", 1), "base64"},
		{strings.Replace(argonLarge, "c29tZXNhbHQ", "c29tc2Fs", 1), "salt of 8 to 64 bytes"},
		{strings.Replace(argonLarge, "c29tZXNhbHQ", strings.Repeat("A", 87), 1), "salt of 8 to 64 bytes"},
		{"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAA", "a key of 16 to 64"},
		{"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$" + strings.Repeat("A", 87), "a key of 16 to 64"},
		{"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$", "is no argon2id"},
		{strings.Replace(bcryptOther, "$10$", "$17$", 1), "cost 17, want 4 to 16"},
		{strings.Replace(bcryptOther, "$10$", "$03$", 1), "cost 3, want 4"},
		{strings.Replace(bcryptOther, "$10$", "$00$", 1), "cost 0, want 4"},
		{strings.Replace(bcryptOther, "$2a$", "$2x$", 1), "is no argon2id or bcrypt"},
		{strings.Replace(bcryptOther, "$2a$", "$2$", 1), "is no argon2id or bcrypt"},
		{bcryptOther + "x", "is no argon2id or bcrypt"},
		{bcryptOther[:59], "is no argon2id or bcrypt"},
	} {
		h, err := ParseHash(c.line)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q is read as %+v, %v; want %q", c.line, h.shape, err, c.want)
		}
	}
}

func TestA06BcryptLooksAt72Bytes(t *testing.T) {
	long := strings.Repeat("a", maxBcryptPassword)
	h := mustParse(t, bcryptHash(t, long))
	if !h.matches(long) {
		t.Error("a password of 72 bytes is refused")
	}
	if h.matches(long+"x") || h.matches(long[:71]) {
		t.Error("a password that has the right first bytes is taken")
	}
}

func TestA09PasswordsAreNormalised(t *testing.T) {
	line, err := Hash("cafe\u0301\u00a0noir")
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := prepare("café noir")
	if err != nil || !mustParse(t, line).matches(prepared) {
		t.Errorf("a password that was typed on another keyboard is another: %v", err)
	}
	for _, c := range []struct{ password, want string }{
		{"", "is empty"},
		{"a\x00b", "cannot be typed everywhere"},
		{"a\tb", "cannot be typed everywhere"},
		{"a\xffb", "is not UTF-8"},
		{strings.Repeat("a", maxPasswordBytes+1), "more than 1024 bytes"},
	} {
		if _, err := Hash(c.password); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.10q: %v, want %q", c.password, err, c.want)
		}
	}
	if _, err := prepare(strings.Repeat("a", maxPasswordBytes)); err != nil {
		t.Error(err)
	}
}

// A hash that nobody has costs what its like cost, and no password is right.
func TestDummy(t *testing.T) {
	for _, line := range []string{argonOther, bcryptHash(t, "x")} {
		h := mustParse(t, line)
		dummy := h.dummy()
		again, err := ParseHash(dummy.line())
		if err != nil || again.shape != h.shape {
			t.Errorf("%s has the dummy %s: %v", line, dummy.line(), err)
		}
		if dummy.matches("") || dummy.matches("x") || dummy.matches("password") {
			t.Errorf("%s: the dummy matches", line)
		}
		if h.bcrypt != "" {
			if cost, err := bcrypt.Cost([]byte(dummy.bcrypt)); err != nil || cost != h.cost {
				t.Errorf("the library reads %s as of cost %d: %v", dummy.bcrypt, cost, err)
			}
		}
	}
}

func FuzzParseHash(f *testing.F) {
	for _, line := range []string{
		"", argonOther, argonLarge, bcryptOther, argonLarge[:40], argonLarge + "=",
		"$argon2id$v=19$m=0,t=0,p=0$$", "$2b$99$", "$argon2id$v=19$m=000000064,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		h, err := ParseHash(line)
		if err != nil {
			if line != "" && strings.Contains(err.Error(), line) && len(line) > 20 {
				t.Errorf("the error shows the line: %v", err)
			}
			return
		}
		if h.line() != line {
			t.Errorf("%q is written as %q", line, h.line())
		}
		if h.memory <= 1024 && h.cost <= minBcryptCost && h.time <= 2 {
			h.matches("password") // must not panic
		}
		if again := mustParse(t, h.dummy().line()); again.shape != h.shape {
			t.Errorf("%q has a dummy of another kind", line)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	h := defaultShape.dummy()
	for b.Loop() {
		h.matches("correct horse")
	}
}
