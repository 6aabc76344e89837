package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

var allAlgorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

func TestEveryAlgorithm(t *testing.T) {
	for _, alg := range allAlgorithms {
		t.Run(alg, func(t *testing.T) {
			f := newFixture(t, alg)
			good := f.token(nil)
			f.want(good, OK)
			at := strings.LastIndexByte(good, '.') + 5
			flip := byte('A')
			if good[at] == 'A' {
				flip = 'B'
			}
			f.want(good[:at]+string(flip)+good[at+1:], TokenUntrusted)
			f.want(good[:strings.LastIndexByte(good, '.')], TokenMalformed)
		})
	}
}

func TestJ01AlgorithmNone(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, alg := range []string{`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `"none "`, `""`, `"hs256"`, `"HS256 "`} {
		header := fmt.Sprintf(`{"alg":%s,"kid":"k1"}`, alg)
		f.want(f.raw(header, f.payload("")), TokenUntrusted)
		input := encoding.EncodeToString([]byte(header)) + "." + encoding.EncodeToString([]byte(f.payload("")))
		f.want(input+".", TokenUntrusted)
		f.want(input+".AA", TokenUntrusted)
	}
	for _, alg := range []string{`null`, `1`, `["HS256"]`, `{}`, `true`} {
		f.want(f.raw(fmt.Sprintf(`{"alg":%s,"kid":"k1"}`, alg), f.payload("")), TokenMalformed)
	}
	f.want(f.raw(`{"kid":"k1"}`, f.payload("")), TokenUntrusted)
}

func TestJ02PublicKeyAsSecret(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		f := newFixture(t, alg)
		der, err := x509.MarshalPKIXPublicKey(asymmetric()[alg].Public())
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})} {
			input := encoding.EncodeToString([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + encoding.EncodeToString([]byte(f.payload("")))
			signature, err := jwt.SigningMethodHS256.Sign(input, secret)
			if err != nil {
				t.Fatal(err)
			}
			f.want(input+"."+encoding.EncodeToString(signature), TokenUntrusted)
		}
		if _, err := NewVerificationKey("k", "HS256", asymmetric()[alg].Public()); err == nil {
			t.Errorf("an %s key was bound to HS256", alg)
		}
		if _, err := NewSecretKey("k", alg, der); err == nil {
			t.Errorf("a secret was bound to %s", alg)
		}
	}
}

func TestJ03OneAlgorithmPerKey(t *testing.T) {
	for _, c := range []struct{ key, other string }{
		{"RS256", "RS512"}, {"RS256", "PS256"}, {"PS256", "RS256"}, {"HS256", "HS512"}, {"PS384", "PS256"},
	} {
		f := newFixture(t, c.key)
		f.key = keyFor(t, "k1", c.other)
		f.want(f.token(nil), TokenUntrusted)
	}
	for alg, key := range map[string]crypto.PublicKey{
		"ES256": asymmetric()["ES384"].Public(), "ES384": asymmetric()["ES256"].Public(), "ES512": asymmetric()["ES384"].Public(),
		"RS256": asymmetric()["ES256"].Public(), "EdDSA": asymmetric()["RS256"].Public(), "PS256": asymmetric()["EdDSA"].Public(),
	} {
		if _, err := NewVerificationKey("k", alg, key); err == nil {
			t.Errorf("%s took a key that does not fit", alg)
		}
	}
}

func TestJ04SaltLength(t *testing.T) {
	for _, alg := range []string{"PS256", "PS384", "PS512"} {
		f := newFixture(t, alg)
		input := encoding.EncodeToString([]byte(f.header())) + "." + encoding.EncodeToString([]byte(f.payload("")))
		hash := f.key.method.(*jwt.SigningMethodRSAPSS).Hash
		h := hash.New()
		h.Write([]byte(input))
		for salt, want := range map[int]Reason{hash.Size(): OK, 0: TokenUntrusted, 20: TokenUntrusted, hash.Size() + 1: TokenUntrusted} {
			signature, err := rsa.SignPSS(rand.Reader, asymmetric()[alg].(*rsa.PrivateKey), hash, h.Sum(nil), &rsa.PSSOptions{SaltLength: salt})
			if err != nil {
				t.Fatal(err)
			}
			f.want(input+"."+encoding.EncodeToString(signature), want)
		}
	}
}

func TestJ05Kid(t *testing.T) {
	f := newFixture(t, "HS256")
	for kid, want := range map[string]Reason{
		`"k1"`: OK, `"K1"`: TokenUntrusted, `"k1 "`: TokenUntrusted, `""`: TokenUntrusted, `"../../k1"`: TokenUntrusted,
		`"k1' or '1'='1"`: TokenUntrusted, `"k1\u0000"`: TokenUntrusted, `"k1\r\n"`: TokenUntrusted,
		`1`: TokenMalformed, `{}`: TokenMalformed, `null`: TokenMalformed, `["k1"]`: TokenMalformed,
		`"` + strings.Repeat("k", maxKid) + `"`: TokenUntrusted, `"` + strings.Repeat("k", maxKid+1) + `"`: TokenMalformed,
	} {
		f.want(f.raw(fmt.Sprintf(`{"alg":"HS256","kid":%s}`, kid), f.payload("")), want)
	}
	f.want(f.raw(`{"alg":"HS256"}`, f.payload("")), OK) // no kid: by algorithm
}

func TestKeyWithoutKid(t *testing.T) {
	f := newFixture(t, "HS256")
	f.key = keyFor(t, "", "HS256")
	f.issuer.Keys = NewStaticKeys([]*Key{f.key})
	f.want(f.raw(`{"alg":"HS256"}`, f.payload("")), OK)
	f.want(f.raw(`{"alg":"HS256","kid":"any"}`, f.payload("")), OK)
	f.want(f.raw(`{"alg":"HS512","kid":"any"}`, f.payload("")), TokenUntrusted)
}

func TestJ06KeyInHeader(t *testing.T) {
	f := newFixture(t, "ES256")
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{
		`"jku":"http://127.0.0.1:1/jwks"`, `"x5u":"http://127.0.0.1:1/cert"`, `"x5c":["MIIB"]`,
		fmt.Sprintf(`"jwk":{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, encoding.EncodeToString(stranger.X.Bytes()), encoding.EncodeToString(stranger.Y.Bytes())),
	} {
		input := encoding.EncodeToString([]byte(`{"alg":"ES256","kid":"k1",`+member+`}`)) + "." + encoding.EncodeToString([]byte(f.payload("")))
		signature, err := jwt.SigningMethodES256.Sign(input, stranger)
		if err != nil {
			t.Fatal(err)
		}
		f.want(input+"."+encoding.EncodeToString(signature), TokenUntrusted)
		f.want(f.raw(`{"alg":"ES256","kid":"k1",`+member+`}`, f.payload("")), OK) // without effect
	}
}

func TestJ07PsychicSignatures(t *testing.T) {
	f := newFixture(t, "ES256")
	n := elliptic.P256().Params().N
	input := encoding.EncodeToString([]byte(f.header())) + "." + encoding.EncodeToString([]byte(f.payload("")))
	values := []*big.Int{big.NewInt(0), big.NewInt(1), new(big.Int).Sub(n, big.NewInt(1)), n, new(big.Int).Add(n, big.NewInt(1))}
	for _, r := range values {
		for _, s := range values {
			signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
			f.want(input+"."+encoding.EncodeToString(signature), TokenUntrusted)
		}
	}
	e := newFixture(t, "EdDSA")
	input = encoding.EncodeToString([]byte(e.header())) + "." + encoding.EncodeToString([]byte(e.payload("")))
	for _, first := range []byte{0, 1} { // R of small order, S = 0
		signature := make([]byte, 64)
		signature[0] = first
		e.want(input+"."+encoding.EncodeToString(signature), TokenUntrusted)
	}
}

func TestJ08Crit(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, crit := range []string{`["exp"]`, `["http://example.com/x"]`, `[]`, `null`, `"x"`, `["b64"]`} {
		f.want(f.raw(`{"alg":"HS256","kid":"k1","crit":`+crit+`}`, f.payload("")), TokenMalformed)
	}
}

func TestJ09B64(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, b64 := range []string{"false", "true", "null", `"x"`} {
		f.want(f.raw(`{"alg":"HS256","kid":"k1","b64":`+b64+`}`, f.payload("")), TokenMalformed)
	}
}

func TestJ10DuplicateHeader(t *testing.T) {
	f := newFixture(t, "HS256")
	f.want(f.raw(`{"alg":"none","alg":"HS256","kid":"k1"}`, f.payload("")), TokenMalformed)
	f.want(f.raw(`{"alg":"HS256","kid":"k0","kid":"k1"}`, f.payload("")), TokenMalformed)
}

func TestJ18Type(t *testing.T) {
	f := newFixture(t, "HS256")
	for typ, want := range map[string]Reason{
		"JWT": OK, "jwt": OK, "at+jwt": OK, "AT+JWT": OK, "application/at+jwt": OK, "": OK,
		"refresh+jwt": TokenMalformed, "id+jwt": TokenMalformed, "dpop+jwt": TokenMalformed, "logout+jwt": TokenMalformed, "JOSE": TokenMalformed, "application/jwt": TokenMalformed,
	} {
		f.want(f.raw(fmt.Sprintf(`{"alg":"HS256","kid":"k1","typ":%q}`, typ), f.payload("")), want)
	}
}

func TestJ19OtherSerialisations(t *testing.T) {
	f := newFixture(t, "HS256")
	good := f.token(nil)
	parts := strings.Split(good, ".")
	for _, token := range []string{
		"", ".", "..", "...", good + ".", "." + good, good + ".AAAA", parts[0] + "." + parts[1], parts[0] + ".." + parts[2],
		strings.Repeat("AAAA.", 4) + "AAAA", `{"payload":"` + parts[1] + `"}`, good + " ", good + "=", good + ",", good + "\x00",
	} {
		d := f.gate.Decide(f.policy, Credentials{bearer: token, bearerState: bearerPresent}, now)
		if d.Reason != TokenMalformed {
			t.Errorf("%.60q: %s", token, d.Reason)
		}
	}
}

func TestJ20CanonicalEncoding(t *testing.T) {
	f := newFixture(t, "HS256")
	good := f.token(nil) // the HS256 signature's last character has 4 unused bits
	alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1])
	f.want(good[:len(good)-1]+string(alphabet[last^1]), TokenMalformed)
	for _, pad := range []string{"=", "=="} {
		f.want(good+pad, TokenMalformed)
	}
	// Signed as it is: the spaces fill up to a last character with unused bits.
	segment := func(text string) string {
		for len(text)%3 != 1 {
			text += " "
		}
		return encoding.EncodeToString([]byte(text + "   "))
	}
	for input, want := range map[string]Reason{
		segment(f.header()) + "." + segment(f.payload("")):         OK,
		loosen(segment(f.header())) + "." + segment(f.payload("")): TokenMalformed,
		segment(f.header()) + "." + loosen(segment(f.payload(""))): TokenMalformed,
	} {
		signature, err := f.key.method.Sign(input, f.key.sign)
		if err != nil {
			t.Fatal(err)
		}
		f.want(input+"."+encoding.EncodeToString(signature), want)
	}
}

func TestJ21LineEndsInSegments(t *testing.T) {
	f := newFixture(t, "HS256")
	good := f.token(nil)
	for _, insert := range []string{"\r", "\n", "\r\n", "\t", " ", "\v", "%", "+", "/"} {
		for _, at := range []int{0, 1, len(good) / 2, len(good) - 1} {
			token := good[:at] + insert + good[at:]
			if d := f.gate.Decide(f.policy, Credentials{bearer: token, bearerState: bearerPresent}, now); d.Reason != TokenMalformed {
				t.Errorf("%q at %d: %s", insert, at, d.Reason)
			}
		}
	}
}

func TestJ22MalleableSignature(t *testing.T) {
	f := newFixture(t, "ES256")
	good := f.token(map[string]any{"jti": nil})
	cut := strings.LastIndexByte(good, '.')
	signature, _ := encoding.DecodeString(good[cut+1:])
	s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(signature[32:]))
	twin := good[:cut+1] + encoding.EncodeToString(append(signature[:32:32], s.FillBytes(make([]byte, 32))...))
	d, e := f.want(good, OK), f.want(twin, OK)
	if d.Principal.Token.ID() != e.Principal.Token.ID() {
		t.Fatal("two spellings of one signature are two tokens")
	}
	f.list.add(Revocation{Kind: KindToken, Issuer: "main", ID: d.Principal.Token.ID()})
	f.want(good, TokenRevoked)
	f.want(twin, TokenRevoked)
}

func TestJ25Length(t *testing.T) {
	f := newFixture(t, "HS256")
	pad := func(total int) string {
		for n := total; n > 0; n-- {
			if token := f.token(map[string]any{"pad": strings.Repeat("x", n)}); len(token) <= total {
				return token
			}
		}
		return ""
	}
	f.want(pad(f.issuer.MaxTokenBytes), OK)
	f.want(pad(f.issuer.MaxTokenBytes+3), TokenMalformed)
	f.want(strings.Repeat(".", 1<<20), TokenMalformed)
	long := pad(f.issuer.MaxTokenBytes + 3) // refused for its length before anybody asks who signed it
	f.want(long[:len(long)-6]+"AAAAAA", TokenMalformed)
	// With several issuers, the bound is that of the token's own.
	wide := *f.issuer
	wide.Name, wide.Issuer, wide.MaxTokenBytes = "wide", "https://wide.example.com", 8<<10
	wide.Keys = NewStaticKeys([]*Key{keyFor(t, "k2", "HS256")})
	f.policy.Issuers = []*Issuer{f.issuer, &wide}
	f.want(pad(f.issuer.MaxTokenBytes+3), TokenMalformed)
}

func TestJ26SignatureBeforeClaims(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.MaxTokenBytes = 16 << 10
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	token := f.raw(f.header(), f.payload(`,"deep":`+deep))
	forged := token[:len(token)-4] + "AAAA"
	if n := testing.AllocsPerRun(10, func() { f.decide(forged) }); n > 60 {
		t.Errorf("a forged token with deep claims costs %v allocations: its claims were read", n)
	}
	f.want(forged, TokenUntrusted)
	padded := func(size int) string { return f.header() + strings.Repeat(" ", size-len(f.header())) }
	f.want(f.raw(padded(768), f.payload("")), OK) // 1 KiB when encoded
	f.want(f.raw(padded(769), f.payload("")), TokenMalformed)
}

func TestJ29KeysBelongToIssuers(t *testing.T) {
	f := newFixture(t, "HS256")
	other := *f.issuer
	other.Name, other.Issuer = "other", "https://other.example.com"
	otherKey, err := NewSecretKey("k1", "HS256", []byte("another secret of thirty-two bytes!"))
	if err != nil {
		t.Fatal(err)
	}
	other.Keys = NewStaticKeys([]*Key{otherKey})
	f.policy.Issuers = []*Issuer{f.issuer, &other}
	mine := f.key
	f.want(f.token(nil), OK)
	f.want(f.token(map[string]any{"iss": other.Issuer}), TokenUntrusted)
	f.key = otherKey
	if d := f.want(f.token(map[string]any{"iss": other.Issuer, "jti": "t2"}), OK); d.Principal.Token.Issuer() != &other {
		t.Error("the token is not the other issuer's")
	}
	f.want(f.token(nil), TokenUntrusted) // signed by other, claims to be main's
	f.key = mine
	// A route that accepts one issuer only, also when another has remembered the token.
	token := f.token(nil)
	f.want(token, OK)
	f.policy.Issuers = []*Issuer{&other}
	f.want(token, TokenUntrusted)
}

func TestJ33SignatureWins(t *testing.T) {
	f := newFixture(t, "HS256")
	expired := f.token(map[string]any{"exp": now.Unix() - 1000})
	f.want(expired, TokenExpired)
	f.want(expired[:len(expired)-6]+"AAAAAA", TokenUntrusted)
}

func TestJ34MalformedSignature(t *testing.T) {
	for _, alg := range allAlgorithms {
		f := newFixture(t, alg)
		cut := strings.LastIndexByte(f.token(nil), '.') + 1
		for _, n := range []int{0, 1, 31, 32, 33, 63, 64, 65, 255, 256, 257} {
			f.want(f.token(nil)[:cut]+encoding.EncodeToString(make([]byte, n)), TokenUntrusted)
		}
		f.want(f.token(nil)[:cut]+"A", TokenMalformed) // no whole byte
	}
}

func TestJ35TriesAreBounded(t *testing.T) {
	f := newFixture(t, "HS256")
	var keys []*Key
	for i := range 3 * maxTries {
		k, err := NewSecretKey(fmt.Sprint(i), "HS256", fmt.Appendf(nil, "secret number %02d, thirty-two bytes", i))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	f.issuer.Keys = NewStaticKeys(keys)
	f.key = keys[len(keys)-1]
	unnamed := f.raw(`{"alg":"HS256"}`, f.payload(""))
	f.want(unnamed, TokenUntrusted)
	if _, steps := f.gate.Explain(t.Context(), f.policy, bearer(unnamed), now); !strings.Contains(fmt.Sprint(steps), "more are not tried") {
		t.Errorf("the bound is not explained: %+v", steps)
	}
	f.want(f.raw(fmt.Sprintf(`{"alg":"HS256","kid":%q}`, f.key.ID), f.payload("")), OK)
	f.key = keys[maxTries-1]
	f.want(f.raw(`{"alg":"HS256"}`, f.payload("")), OK)
	for _, k := range keys {
		k.ID = "" // which the empty kid does not name
	}
	f.issuer.Keys, f.key = NewStaticKeys(keys), keys[len(keys)-1]
	f.want(f.raw(`{"alg":"HS256","kid":""}`, f.payload("")), TokenUntrusted)
}

// A key that is named is tried, however many issuers have one of that name.
func TestIssuersWithOneKid(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Issuers = nil
	for i := range maxTries + 2 {
		k, err := NewSecretKey("1", "HS256", fmt.Appendf(nil, "secret number %02d, thirty-two bytes", i))
		if err != nil {
			t.Fatal(err)
		}
		one := *f.issuer
		one.Name, one.Issuer, one.Keys = fmt.Sprint(i), fmt.Sprint("https://", i), NewStaticKeys([]*Key{k})
		f.policy.Issuers = append(f.policy.Issuers, &one)
		f.issuer, f.key = &one, k
	}
	f.want(f.raw(`{"alg":"HS256","kid":"1"}`, f.payload("")), OK)
	f.want(f.raw(`{"alg":"HS256"}`, f.payload("")), TokenUntrusted)
}

func TestKeysUnavailable(t *testing.T) {
	f := newFixture(t, "HS256")
	token := f.token(nil)
	f.issuer.Keys = unready{}
	f.want(token, KeysUnavailable)
	other := *f.issuer
	other.Name, other.Keys = "other", NewStaticKeys([]*Key{f.key})
	f.policy.Issuers = []*Issuer{f.issuer, &other}
	f.want(token, OK)
	// Whose it is cannot be known, also when the other issuer uses the same kid.
	forged := token[:len(token)-6] + "AAAAAA"
	for _, issuers := range [][]*Issuer{{f.issuer, &other}, {&other, f.issuer}} {
		f.policy.Issuers = issuers
		f.want(forged, KeysUnavailable)
		f.want(f.raw(`{"alg":"HS256","kid":"k2"}`, f.payload("")), KeysUnavailable)
		f.want(f.token(map[string]any{"iss": "x"}), TokenUntrusted) // known: the other's key signed it
	}
	f.policy.Issuers = []*Issuer{&other}
	f.want(forged, TokenUntrusted)
}

type unready struct{}

func (unready) Find(string) *Key { return nil }

func (unready) All() []*Key { return nil }

func (unready) Signer() *Key { return nil }

func (unready) Ready() bool { return false }
