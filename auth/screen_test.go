package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/nistec"
	"github.com/golang-jwt/jwt/v5"
)

// counting is a signing method that counts what it is asked.
type counting struct {
	jwt.SigningMethod
	verified int
}

func (c *counting) Verify(input string, signature []byte, key any) error {
	c.verified++
	return c.SigningMethod.Verify(input, signature, key)
}

// longRSA are keys for which there is a screen, by their bits: of whole bytes, of one
// bit more, and of some less.
var longRSA = sync.OnceValue(func() map[int]*rsa.PrivateKey {
	keys := map[int]*rsa.PrivateKey{}
	for _, bits := range []int{2049, 2300, 3072} {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		keys[bits] = k
	}
	return keys
})

// screened are keys that have a screen.
func screened(t testing.TB) (keys []*Key) {
	t.Helper()
	add := func(alg string, private crypto.Signer) {
		k, err := NewSigningKey("", alg, private)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	add("ES384", asymmetric()["ES384"])
	add("ES512", asymmetric()["ES512"])
	for _, private := range longRSA() {
		for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
			add(alg, private)
		}
	}
	return keys
}

// agree holds a screen to what the standard library says.
func agree(t *testing.T, k *Key, what, input string, signature []byte) bool {
	t.Helper()
	good := k.method.Verify(input, signature, k.verify) == nil
	if got := k.screen(digest(k.hash, []byte(input)), signature); got != good {
		t.Errorf("%s of %d bytes, %s: the screen says %t, the standard library %t", k.Algorithm, len(signature), what, got, good)
	}
	return good
}

// TestJ26Screens: what a screen says is what the standard library says.
func TestJ26Screens(t *testing.T) {
	for _, k := range screened(t) {
		const input = "what is signed"
		good, err := k.method.Sign(input, k.sign)
		if err != nil {
			t.Fatal(err)
		}
		if !agree(t, k, "good", input, good) {
			t.Errorf("%s: good signatures are not good", k.Algorithm)
		}
		bad := func(what string, signature []byte) {
			t.Helper()
			if agree(t, k, what, input, signature) {
				t.Errorf("%s, %s: good", k.Algorithm, what)
			}
		}
		agree(t, k, "of another", input+"!", good)
		for i := range good {
			changed := bytes.Clone(good)
			changed[i] ^= 1 << mathrand.IntN(8)
			bad("changed", changed)
		}
		bad("none", nil)
		bad("zeros", make([]byte, len(good)))
		bad("ones", bytes.Repeat([]byte{0xff}, len(good)))
		bad("short", good[1:])
		bad("shorter", good[:len(good)-1])
		bad("long", append([]byte{0}, good...))
		bad("longer", append(bytes.Clone(good), 0))
	}
}

// numbers is the signature of those, in the form of RFC 7518 §3.4.
func numbers(size int, r, s *big.Int) []byte {
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
}

// Scalars and points at which formulas go wrong.
func TestJ26ScreenOfSpecialPoints(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P384(), elliptic.P521()} {
		n := curve.Params().N
		size := (n.BitLen() + 7) / 8
		one := big.NewInt(1)
		for _, d := range []*big.Int{one, big.NewInt(2), new(big.Int).Sub(n, one), new(big.Int).Lsh(one, 66), new(big.Int).Rsh(n, 1)} {
			private, err := ecdsa.ParseRawPrivateKey(curve, d.FillBytes(make([]byte, size)))
			if err != nil {
				t.Fatal(err)
			}
			says := ecdsaScreen(&private.PublicKey)
			check := func(what string, hash []byte, r, s *big.Int) bool {
				t.Helper()
				if r.BitLen() > 8*size || s.BitLen() > 8*size {
					return false
				}
				good := ecdsa.Verify(&private.PublicKey, hash, r, s)
				if got := says(hash, numbers(size, r, s)); got != good {
					t.Errorf("%s, private key %d, %s: the screen says %t, the standard library %t", curve.Params().Name, d, what, got, good)
				}
				return good
			}
			whole := min(size, 64) // no hash has more
			for _, hash := range [][]byte{make([]byte, whole), bytes.Repeat([]byte{0xff}, whole), append(make([]byte, whole-1), 1), n.Bytes()[:whole]} {
				r, s, err := ecdsa.Sign(rand.Reader, private, hash)
				if err != nil {
					t.Fatal(err)
				}
				if !check("good", hash, r, s) || !check("the other s", hash, r, new(big.Int).Sub(n, s)) {
					t.Error("good signatures are not good")
				}
				zero := new(big.Int)
				for what, other := range map[string][2]*big.Int{
					"r 0": {zero, s}, "s 0": {r, zero}, "both 0": {zero, zero}, "r n": {n, s}, "s n": {r, n}, "1, 1": {one, one},
					"r and n": {new(big.Int).Add(r, n), s}, "s and n": {r, new(big.Int).Add(s, n)}, "other way round": {s, r},
				} {
					if check(what, hash, other[0], other[1]) {
						t.Errorf("%s: good", what)
					}
				}
				// e = r: where the public key is -G, the point is that at infinity.
				r = new(big.Int).Rsh(n, uint(n.BitLen()-8*whole+1))
				check("e is r", r.FillBytes(make([]byte, whole)), r, s)
			}
		}
	}
}

// A point whose x is not less than the order of the curve, of which r is the rest:
// there are too few for any to be met by chance.
func TestJ26ScreenOfLongX(t *testing.T) {
	n := elliptic.P384().Params().N
	x, r := new(big.Int).Add(n, big.NewInt(1)), nistec.NewP384Point()
	for {
		if _, err := r.SetBytes(append([]byte{2}, x.FillBytes(make([]byte, 48))...)); err == nil {
			break
		}
		x.Add(x, big.NewInt(1))
	}
	hash, s := bytes.Repeat([]byte{7}, 48), big.NewInt(12345)
	rest := new(big.Int).Sub(x, n)
	inverse := new(big.Int).ModInverse(rest, n)
	times := func(p *nistec.P384Point, k *big.Int) *nistec.P384Point {
		k = k.Mul(k, inverse)
		q, err := nistec.NewP384Point().ScalarMult(p, k.Mod(k, n).FillBytes(make([]byte, 48)))
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	// The key for which r is the point of this signature: (s*r - e*g) / rest.
	minus := new(big.Int).Neg(new(big.Int).SetBytes(hash))
	q := times(r, new(big.Int).Set(s))
	q.Add(q, times(nistec.NewP384Point().SetGenerator(), minus))
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), q.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !ecdsa.Verify(key, hash, rest, s) || !ecdsaScreen(key)(hash, numbers(48, rest, s)) {
		t.Error("a good signature is not good")
	}
	if x.BitLen() > 384 || ecdsaScreen(key)(hash, numbers(48, x, s)) {
		t.Error("a second spelling")
	}
}

// What a private key has encrypted that is not what RFC 8017 says: both halves of
// each check.
func TestJ26ScreenOfBadPadding(t *testing.T) {
	for _, k := range screened(t) {
		private, isRSA := k.sign.(*rsa.PrivateKey)
		if !isRSA {
			continue
		}
		const input = "what is signed"
		var message []byte
		reduced := func(message []byte) bool { return new(big.Int).SetBytes(message).Cmp(private.N) < 0 }
		for range 100 { // with PSS until the first byte's last bit can be another
			good, err := k.method.Sign(input, k.sign)
			if err != nil {
				t.Fatal(err)
			}
			message = new(big.Int).Exp(new(big.Int).SetBytes(good), big.NewInt(int64(private.E)), private.N).FillBytes(make([]byte, len(good)))
			message[0] ^= 1
			enough := reduced(message)
			if message[0] ^= 1; enough {
				break
			}
		}
		encrypted := func(message []byte) []byte {
			return new(big.Int).Exp(new(big.Int).SetBytes(message), private.D, private.N).FillBytes(make([]byte, len(message)))
		}
		hash := len(message) - 32 // where that of PKCS #1 begins, for SHA-256
		for _, at := range []int{0, 1, 2, 3, 100, hash - 20, hash - 5, hash - 1, hash, len(message) - 2*k.hash.Size() - 2, len(message) - 2, len(message) - 1} {
			bits := []int{mathrand.IntN(8)}
			if at == 0 {
				bits = []int{0, 1, 2, 3, 4, 5, 6, 7}
			}
			for _, bit := range bits {
				changed := bytes.Clone(message)
				if changed[at] ^= 1 << bit; reduced(changed) && agree(t, k, "bad padding", input, encrypted(changed)) {
					t.Errorf("%s: bit %d of byte %d may be wrong", k.Algorithm, bit, at)
				}
			}
		}
		same := new(big.Int).Add(new(big.Int).SetBytes(encrypted(message)), private.N) // above the modulus
		if same.BitLen() <= 8*len(message) && agree(t, k, "not reduced", input, same.FillBytes(make([]byte, len(message)))) {
			t.Errorf("%s: a second spelling", k.Algorithm)
		}
		if strings.HasPrefix(k.Algorithm, "PS") { // J04: any other salt
			for _, salt := range []int{0, 20, rsa.PSSSaltLengthAuto} {
				h := k.method.(*jwt.SigningMethodRSAPSS).Hash
				other, err := rsa.SignPSS(rand.Reader, private, h, digest(h, []byte(input)), &rsa.PSSOptions{SaltLength: salt})
				if err != nil || agree(t, k, "other salt", input, other) {
					t.Errorf("%s, salt of %d: %v", k.Algorithm, salt, err)
				}
			}
		}
	}
}

// TestJ26Forgeries: what a screen refuses is not verified any more, and what it lets
// through is.
func TestJ26Forgeries(t *testing.T) {
	for _, alg := range append(allAlgorithms, "long RS256") {
		f := newFixture(t, alg[len(alg)-5:])
		long := alg != f.key.Algorithm
		if long {
			key, err := NewSigningKey("k1", "RS256", longRSA()[3072])
			if err != nil {
				t.Fatal(err)
			}
			f.key, f.issuer.Keys = key, NewStaticKeys([]*Key{key})
		}
		count := &counting{SigningMethod: f.key.method}
		f.key.method = count
		token := f.token(nil)
		cut := strings.LastIndexByte(token, '.') + 1
		forged := f.token(map[string]any{"jti": "other"})
		forged = forged[:strings.LastIndexByte(forged, '.')+1] + token[cut:]
		decide := func(token string, want Reason) {
			t.Helper()
			if d := f.decide(token); d.Reason != want {
				t.Errorf("%s: %s, want %s", alg, d.Reason, want)
			}
		}
		decide(forged, TokenUntrusted)
		want := 1
		if alg == "ES384" || alg == "ES512" || long {
			want = 0
		}
		if count.verified != want {
			t.Errorf("%s: a forgery is verified %d times, want %d", alg, count.verified, want)
		}
		decide(token, OK)
		if count.verified != want+1 {
			t.Errorf("%s: a good token is verified %d times", alg, count.verified-want)
		}
		f.key.hash, f.key.screen = crypto.SHA256, func(_, _ []byte) bool { return true }
		decide(forged, TokenUntrusted)
	}
}

// TestJ26SlowTries: of keys that take long even so, half as many are tried for a
// token that names none.
func TestJ26SlowTries(t *testing.T) {
	long := func(bits, e int) *rsa.PublicKey {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: e}
	}
	for _, c := range []struct {
		alg    string
		public crypto.PublicKey
		want   int
	}{
		{"ES384", asymmetric()["ES384"].Public(), maxTries},
		{"ES512", asymmetric()["ES512"].Public(), maxTries / 2},
		{"RS256", long(4096, 65537), maxTries},
		{"RS256", long(4097, 65537), maxTries / 2},
		{"PS512", long(maxRSABits, 65537), maxTries / 2},
		{"RS256", long(2049, 65539), maxTries / 2},
		{"RS256", long(maxRSABits, 1<<31-1), maxTries / 4},
	} {
		f := newFixture(t, "HS256")
		var keys []*Key
		var tried int
		for range 2 * maxTries {
			k, err := NewVerificationKey("", c.alg, c.public)
			if err != nil {
				t.Fatal(err)
			}
			k.screen = func(_, _ []byte) bool { tried++; return false }
			keys = append(keys, k)
		}
		f.issuer.Keys = NewStaticKeys(keys)
		if d := f.decide(f.raw(`{"alg":"`+c.alg+`"}`, f.payload(""))); d.Reason != TokenUntrusted {
			t.Error(d.Reason)
		}
		if tried != c.want {
			t.Errorf("%s: %d keys are tried, want %d", c.alg, tried, c.want)
		}
		if n := Untried(f.policy.Issuers); len(n) != 1 || n[c.alg] != 2*maxTries-c.want {
			t.Errorf("%s: of %d keys these are never tried: %v", c.alg, 2*maxTries, n)
		}
		for _, k := range keys[:c.want] {
			k.ID = "named"
		}
		if n := Untried(f.policy.Issuers); n[c.alg] != 2*maxTries-2*c.want {
			t.Errorf("%s: with names these are never tried: %v", c.alg, n)
		}
	}
}

// TestJ26RefusalsAreRemembered: a token that its issuer signed, and that is good for
// nothing here, has its signature checked once, and is refused for the same reason
// each time.
func TestJ26RefusalsAreRemembered(t *testing.T) {
	for name, c := range map[string]struct {
		changes map[string]any
		want    Reason
		times   int
	}{
		"audience":            {map[string]any{"aud": "others"}, TokenAudience, 1},
		"no audience":         {map[string]any{"aud": nil}, TokenAudience, 1},
		"no subject":          {map[string]any{"sub": nil}, TokenClaims, 1},
		"early":               {map[string]any{"nbf": now.Unix() + 3600}, TokenNotYetValid, 1},
		"expired":             {map[string]any{"exp": now.Unix() - 11}, TokenExpired, 1},
		"expired, for others": {map[string]any{"exp": now.Unix() - 11, "aud": "others"}, TokenExpired, 1},
		"unreadable claims":   {map[string]any{"jti": []int{7}}, TokenClaims, 3},
		"of another issuer":   {map[string]any{"iss": "x"}, TokenUntrusted, 3},
	} {
		f := newFixture(t, "ES256")
		count := &counting{SigningMethod: f.key.method}
		f.key.method = count
		token := f.token(c.changes)
		for range 3 {
			if d := f.decide(token); d.Reason != c.want || d.Principal.Token != nil || d.Headers != nil || d.RenewalDue {
				t.Errorf("%s: %+v", name, d)
			}
		}
		if count.verified != c.times {
			t.Errorf("%s: the signature is checked %d times, want %d", name, count.verified, c.times)
		}
	}
}

// What is early becomes good without another look at its signature, unless it is
// good for nothing; what is late as well as for others is always late.
func TestJ21RefusalsInTime(t *testing.T) {
	f := newFixture(t, "ES256")
	at := func(token string, seconds int64, want Reason) {
		t.Helper()
		for range 2 {
			if d := f.gate.Decide(f.policy, bearer(token), now.Add(time.Duration(seconds)*time.Second)); d.Reason != want {
				t.Errorf("at %d: %s, want %s", seconds, d.Reason, want)
			}
		}
	}
	early := map[string]any{"nbf": now.Unix() + 100, "exp": now.Unix() + 200}
	good, others := f.token(early), f.token(map[string]any{"nbf": early["nbf"], "exp": early["exp"], "aud": "others"})
	at(good, 0, TokenNotYetValid)
	at(good, 150, OK)
	at(good, 300, TokenExpired)
	at(others, 0, TokenNotYetValid)
	at(others, 150, TokenAudience)
	at(others, 300, TokenExpired)
}

// A token that has expired is remembered as its key's, and nothing else: not as
// good, not for another route's issuers, not when the key is gone.
func TestJ21ExpiredTokenIsRemembered(t *testing.T) {
	f := newFixture(t, "HS256")
	token := f.token(map[string]any{"exp": now.Unix() - 11})
	for range 2 {
		if d := f.decide(token); d.Reason != TokenExpired || d.Principal.Token != nil || d.Headers != nil || d.RenewalDue {
			t.Errorf("%+v", d)
		}
	}
	if n := f.gate.tokens.EstimatedSize(); n != 1 {
		t.Fatalf("%d tokens are remembered", n)
	}
	other := *f.issuer
	other.Name, other.Keys = "other", NewStaticKeys([]*Key{keyFor(t, "k1", "ES256")})
	f.policy.Issuers = []*Issuer{&other}
	f.want(token, TokenUntrusted)
	f.policy.Issuers = []*Issuer{f.issuer}
	f.issuer.Keys = NewStaticKeys([]*Key{keyFor(t, "k2", "HS256")})
	f.want(token, TokenUntrusted)
}

// FuzzScreen compares screens with the standard library.
func FuzzScreen(f *testing.F) {
	keys := screened(f)
	for i, k := range keys {
		good, err := k.method.Sign("what is signed", k.sign)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), "what is signed", good)
	}
	f.Fuzz(func(t *testing.T, i uint8, input string, signature []byte) {
		agree(t, keys[int(i)%len(keys)], "fuzzed", input, signature)
	})
}

func BenchmarkForgedByAlgorithm(b *testing.B) {
	for _, k := range slices.Concat(screened(b), []*Key{keyFor(b, "", "ES256"), keyFor(b, "", "RS256"), keyFor(b, "", "EdDSA")}) {
		signature, err := k.method.Sign("what is signed", k.sign)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(k.Algorithm, func(b *testing.B) {
			for b.Loop() {
				if k.verifySignature("what is not", signature) {
					b.Fatal("good")
				}
			}
		})
	}
}
