package users

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds on a stored hash, so that no line of a file or a database can take the
// machine down. The lower ones are those of RFC 9106 §3.1 and of bcrypt.
const (
	maxArgonMemory  = 256 << 10 // KiB
	maxArgonTime    = 16
	maxArgonThreads = 16
	minBcryptCost   = 4
	maxBcryptCost   = 16 // 5 s of a core

	// maxBcryptPassword is what bcrypt looks at; it ignores further bytes.
	maxBcryptPassword = 72
)

// shape is the kind of a hash: what its cost depends on. It is comparable.
type shape struct {
	memory  uint32 // of argon2id, in KiB
	time    uint32
	threads uint8
	saltLen int // bytes
	keyLen  int
	cost    int // of bcrypt; 0: it is argon2id
}

// defaultShape is what new hashes have: argon2id as the OWASP Password Storage
// Cheat Sheet has it, 20 to 30 ms of a core.
var defaultShape = shape{memory: 19 << 10, time: 2, threads: 1, saltLen: 16, keyLen: 32}

// PasswordHash is a hash that passwords can be compared with.
type PasswordHash struct {
	shape
	salt, key []byte
	bcrypt    string // the whole line
}

var (
	argonLine  = regexp.MustCompile(`^\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$([A-Za-z0-9+/]{1,128})\$([A-Za-z0-9+/]{1,128})$`)
	bcryptLine = regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`)
)

// ParseHash reads a line that Hash made, or another of argon2id in PHC format or
// of bcrypt. It fails when it is neither, or its cost is out of bounds; the
// error does not show the line.
func ParseHash(line string) (PasswordHash, error) {
	if m := argonLine.FindStringSubmatch(line); m != nil {
		return parseArgon(line, m[1:])
	}
	if m := bcryptLine.FindStringSubmatch(line); m != nil {
		cost, _ := strconv.Atoi(m[1]) // digits
		if cost < minBcryptCost || cost > maxBcryptCost {
			return PasswordHash{}, fmt.Errorf("the bcrypt hash has cost %d, want %d to %d", cost, minBcryptCost, maxBcryptCost)
		}
		return PasswordHash{shape: shape{cost: cost}, bcrypt: line}, nil
	}
	return PasswordHash{}, errors.New("is no argon2id or bcrypt hash: gatehouse user hash makes one")
}

func parseArgon(line string, part []string) (PasswordHash, error) {
	var n [3]uint64
	for i := range n {
		n[i], _ = strconv.ParseUint(part[i], 10, 32) // at most nine digits
	}
	memory, time, threads := n[0], n[1], n[2]
	salt, err1 := base64.RawStdEncoding.DecodeString(part[3])
	key, err2 := base64.RawStdEncoding.DecodeString(part[4])
	switch {
	case err1 != nil || err2 != nil:
		return PasswordHash{}, errors.New("the salt or the key of the argon2id hash is not base64")
	case time < 1 || time > maxArgonTime:
		return PasswordHash{}, fmt.Errorf("the argon2id hash has t=%d, want 1 to %d", time, maxArgonTime)
	case threads < 1 || threads > maxArgonThreads:
		return PasswordHash{}, fmt.Errorf("the argon2id hash has p=%d, want 1 to %d", threads, maxArgonThreads)
	case memory < 8*threads || memory > maxArgonMemory:
		return PasswordHash{}, fmt.Errorf("the argon2id hash has m=%d, want %d to %d", memory, 8*threads, maxArgonMemory)
	case len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64:
		return PasswordHash{}, errors.New("the argon2id hash must have a salt of 8 to 64 bytes and a key of 16 to 64")
	}
	h := PasswordHash{salt: salt, key: key, shape: shape{
		memory: uint32(memory), time: uint32(time), threads: uint8(threads), saltLen: len(salt), keyLen: len(key),
	}}
	if h.line() != line { // leading zeros, or bits beyond the last byte
		return PasswordHash{}, errors.New("the argon2id hash is not written in the one way that there is")
	}
	return h, nil
}

// Hash returns the line that is kept of a password. It fails, saying why, when
// no password can be that.
func Hash(password string) (string, error) {
	password, err := prepare(password)
	if err != nil {
		return "", err
	}
	h := PasswordHash{shape: defaultShape, salt: make([]byte, defaultShape.saltLen)}
	rand.Read(h.salt) // never fails: crypto/rand ends the process rather
	h.key = h.derive(password)
	return h.line(), nil
}

// line writes the hash in PHC format.
func (h PasswordHash) line() string {
	if h.bcrypt != "" {
		return h.bcrypt
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.memory, h.time, h.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// derive computes the argon2id key of a password.
func (h PasswordHash) derive(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(h.keyLen))
}

// matches reports whether the prepared password is the one. It costs the same
// whether it is or not.
func (h PasswordHash) matches(password string) bool {
	if h.bcrypt == "" {
		return subtle.ConstantTimeCompare(h.derive(password), h.key) == 1
	}
	looked := []byte(password[:min(len(password), maxBcryptPassword)])
	err := bcrypt.CompareHashAndPassword([]byte(h.bcrypt), looked)
	return err == nil && len(password) <= maxBcryptPassword
}

// dummy returns a hash of that shape which is nobody's.
func (s shape) dummy() PasswordHash {
	h := PasswordHash{shape: s, salt: make([]byte, s.saltLen), key: make([]byte, s.keyLen)}
	if s.cost != 0 {
		h.bcrypt = fmt.Sprintf("$2a$%02d$%053d", s.cost, 0)
	}
	return h
}
