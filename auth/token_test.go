package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

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
		f.want(input+".", TokenMalformed)
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
		if _, err := NewSecretKey("k", alg, make([]byte, 64)); err == nil {
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

func TestJ11DuplicateClaims(t *testing.T) {
	f := newFixture(t, "HS256")
	f.want(f.raw(f.header(), f.payload(`,"sub":"u2"`)), TokenMalformed)
	f.want(f.raw(f.header(), f.payload(`,"a":{"x":1,"x":2}`)), TokenMalformed)
	// Another case is another claim: it neither overrides nor stands in.
	f.policy.Claims = []ClaimRule{{Claim: "admin", AnyOf: []string{"true"}}}
	f.want(f.raw(f.header(), f.payload(`,"admin":false,"ADMIN":true`)), ClaimForbidden)
	f.policy.Claims = nil
	f.want(f.token(map[string]any{"exp": nil, "EXP": now.Unix() + 60}), TokenClaims)
}

func TestJ12TypesOfDates(t *testing.T) {
	f := newFixture(t, "HS256")
	soon := fmt.Sprint(now.Unix() + 60)
	for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
		for _, value := range []any{soon, true, nil, []int{1}, map[string]any{}} {
			claims := f.claims()
			claims[name] = value
			compact, err := Sign(f.key, "", claims)
			if err != nil {
				t.Fatal(err)
			}
			f.want(compact, TokenClaims)
		}
	}
	f.want(f.token(map[string]any{"exp": float64(now.Unix()) + 60.75, "iat": float64(now.Unix()) - 0.5}), OK)
	// A fraction is cut off, never rounded up.
	if d := f.want(f.token(map[string]any{"exp": float64(now.Unix()) + 60.9}), OK); !d.Principal.Token.Expires().Equal(now.Add(60 * time.Second)) {
		t.Errorf("expires %s", d.Principal.Token.Expires())
	}
}

func TestJ13HugeDates(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.MaxTokenLife = 200 * 365 * 24 * time.Hour
	for _, exp := range []string{"9e18", "1e300", "1e400", "9223372036854775807", "9223372036854775808", "-1e400", "9007199254740992"} {
		claims := strings.Replace(f.payload(""), fmt.Sprintf(`"exp":%d`, now.Unix()+3540), `"exp":`+exp, 1)
		f.want(f.raw(f.header(), claims), TokenClaims)
	}
	for _, exp := range []string{"-1", "0", "1"} {
		claims := strings.Replace(f.payload(""), fmt.Sprintf(`"exp":%d`, now.Unix()+3540), `"exp":`+exp, 1)
		f.want(f.raw(f.header(), claims), TokenExpired)
	}
}

func TestLifeTooLong(t *testing.T) {
	f := newFixture(t, "HS256")
	iat := now.Unix() - 60
	f.want(f.token(map[string]any{"iat": iat, "exp": iat + 24*3600}), OK)
	f.want(f.token(map[string]any{"iat": iat, "exp": iat + 24*3600 + 1}), TokenClaims)
	f.want(f.token(map[string]any{"iat": nil, "exp": now.Unix() + 24*3600}), OK)
	f.want(f.token(map[string]any{"iat": nil, "exp": now.Unix() + 24*3600 + 1}), TokenClaims)
}

func TestJ14ExpiryRequired(t *testing.T) {
	f := newFixture(t, "HS256")
	f.want(f.token(map[string]any{"exp": nil}), TokenClaims)
	f.want(f.token(map[string]any{"exp": 0}), TokenExpired)
}

func TestJ15TimeAndLeeway(t *testing.T) {
	f := newFixture(t, "HS256")
	unix := now.Unix()
	for _, c := range []struct {
		claim  string
		offset int64
		want   Reason
	}{
		{"exp", 1, OK},
		{"exp", -9, OK},
		{"exp", -10, TokenExpired},
		{"exp", -11, TokenExpired},
		{"nbf", 10, OK},
		{"nbf", 11, TokenNotYetValid},
		{"iat", 10, OK},
		{"iat", 11, TokenNotYetValid},
	} {
		f.want(f.token(map[string]any{c.claim: unix + c.offset}), c.want)
	}
	// A remembered token expires too.
	token := f.token(nil)
	f.want(token, OK)
	for at, want := range map[time.Duration]Reason{3549 * time.Second: OK, 3550 * time.Second: TokenExpired, -71 * time.Second: TokenNotYetValid} {
		if d := f.gate.Decide(f.policy, bearer(token), now.Add(at)); d.Reason != want {
			t.Errorf("remembered, after %s: %s, want %s", at, d.Reason, want)
		}
	}
}

func TestJ16Audience(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, c := range []struct {
		aud  any
		want Reason
	}{
		{"api", OK},
		{[]string{"x", "api2"}, OK},
		{"ap", TokenAudience},
		{"api ", TokenAudience},
		{"API", TokenAudience},
		{"api.example.com", TokenAudience},
		{[]string{}, TokenAudience},
		{[]any{"api", map[string]any{}}, TokenAudience},
		{nil, TokenAudience},
		{1, TokenAudience},
		{true, TokenAudience},
		{map[string]any{"api": 1}, TokenAudience},
	} {
		f.want(f.token(map[string]any{"aud": c.aud}), c.want)
	}
	f.issuer.AnyAudience = true
	f.build()
	f.want(f.token(map[string]any{"aud": "x"}), OK)
	f.want(f.token(map[string]any{"aud": nil}), OK)
}

func TestJ17Issuer(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, iss := range []any{"https://auth.example.com/", "https://AUTH.example.com", "http://auth.example.com", "", nil, 1, []string{f.issuer.Issuer}} {
		f.want(f.token(map[string]any{"iss": iss}), TokenUntrusted)
	}
	f.issuer.Issuer = ""
	f.want(f.token(map[string]any{"iss": nil}), OK)
	f.want(f.token(map[string]any{"iss": ""}), TokenUntrusted)
	f.want(f.token(map[string]any{"iss": "https://auth.example.com"}), TokenUntrusted)
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
}

func TestJ21LineEndsInSegments(t *testing.T) {
	f := newFixture(t, "HS256")
	good := f.token(nil)
	for _, insert := range []string{"\r", "\n", "\r\n", "\t", " ", "\v", "%", "+", "/"} {
		for _, at := range []int{1, len(good) / 2, len(good) - 1} {
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

func TestJ23TrailingData(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, tail := range []string{"x", "{}", " {}", "\x00", "]", "null", ","} {
		f.want(f.raw(f.header(), f.payload("")+tail), TokenMalformed)
		f.want(f.raw(f.header()+tail, f.payload("")), TokenMalformed)
	}
	f.want(f.raw(f.header(), f.payload("")+" \n"), OK) // white space is JSON's
}

func TestJ24NotAnObject(t *testing.T) {
	f := newFixture(t, "HS256")
	for _, body := range []string{"null", "[]", "1", `"x"`, "true", "\ufeff{}", "{", "{}}", "{\"a\":}", "{\"a\":1,}", " "} {
		f.want(f.raw(f.header(), body), TokenMalformed)
		f.want(f.raw(body, f.payload("")), TokenMalformed)
	}
	f.want(f.raw(f.header(), "{}"), TokenUntrusted) // no iss
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
	f.want(f.raw(`{"alg":"HS256","kid":"k1","pad":"`+strings.Repeat("x", maxTokenHeader)+`"}`, f.payload("")), TokenMalformed)
}

func TestJ27WeakSecrets(t *testing.T) {
	random := []byte(strings.Repeat("aZ9", 40))
	for alg, least := range map[string]int{"HS256": 32, "HS384": 48, "HS512": 64} {
		if _, err := NewSecretKey("k", alg, random[:least]); err != nil {
			t.Errorf("%s, %d bytes: %v", alg, least, err)
		}
		for _, bad := range [][]byte{nil, {}, random[:least-1], []byte(strings.Repeat("a", least)), []byte(strings.Repeat("a", 200))} {
			if _, err := NewSecretKey("k", alg, bad); err == nil {
				t.Errorf("%s took %q", alg, bad)
			}
		}
	}
	if _, err := NewSecretKey("k", "HS256", []byte("a-string-secret-at-least-256-bits-long")); err == nil {
		t.Error("jwt.io's secret was taken")
	}
}

func TestWeakKeys(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err == nil { // Go refuses to make such a key unless told otherwise
		if _, err := NewVerificationKey("k", "RS256", &small.PublicKey); err == nil {
			t.Error("an RSA key of 1024 bits was taken")
		}
	}
	n := asymmetric()["RS256"].Public().(*rsa.PublicKey).N
	for _, k := range []crypto.PublicKey{
		&rsa.PublicKey{N: new(big.Int).Rsh(n, 1), E: 65537},
		&rsa.PublicKey{N: n, E: 1}, &rsa.PublicKey{N: n, E: 65536},
		&rsa.PublicKey{N: new(big.Int).Lsh(n, maxRSABits), E: 65537},
	} {
		if _, err := NewVerificationKey("k", "RS256", k); err == nil {
			t.Errorf("a weak RSA key was taken: e=%d, %d bits", k.(*rsa.PublicKey).E, k.(*rsa.PublicKey).N.BitLen())
		}
	}
	off := &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}
	if _, err := NewVerificationKey("k", "ES256", off); err == nil {
		t.Error("a point off the curve was taken")
	}
	for _, alg := range []string{"none", "", "rs256", "ES256K"} {
		if _, err := NewVerificationKey("k", alg, asymmetric()["RS256"].Public()); err == nil {
			t.Errorf("algorithm %q was taken", alg)
		}
	}
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

func TestJ30Digits(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Forward.Claims = []ClaimHeader{{Claim: "sub", Header: "X-User-Id"}, {Claim: "n", Header: "X-N"}}
	payload := strings.Replace(f.payload(`,"n":1.10`), `"sub":"u1"`, `"sub":12345678901234567890`, 1)
	d := f.want(f.raw(f.header(), payload), OK)
	if d.Principal.Token.Subject() != "12345678901234567890" || d.Headers[0].Value[0] != "12345678901234567890" || d.Headers[1].Value[0] != "1.10" {
		t.Errorf("%q %v", d.Principal.Token.Subject(), d.Headers)
	}
	f.want(f.raw(f.header(), strings.Replace(f.payload(""), `"sub":"u1"`, `"sub":1e3`, 1)), TokenClaims)
}

func TestJ31InvalidText(t *testing.T) {
	f := newFixture(t, "HS256")
	for sub, want := range map[string]Reason{
		"\"a\xff\"": TokenMalformed, `"\ud800"`: TokenMalformed, `"\u0000"`: TokenClaims, `"a\r\nX-Admin: 1"`: TokenClaims, `"a\u007f"`: TokenClaims, `"a\tb"`: TokenClaims,
	} {
		f.want(f.raw(f.header(), strings.Replace(f.payload(""), `"sub":"u1"`, `"sub":`+sub, 1)), want)
	}
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
		for _, n := range []int{1, 31, 32, 33, 63, 64, 65, 255, 256, 257} {
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
	f.want(f.raw(`{"alg":"HS256"}`, f.payload("")), TokenUntrusted)
	f.want(f.raw(fmt.Sprintf(`{"alg":"HS256","kid":%q}`, f.key.ID), f.payload("")), OK)
	f.key = keys[maxTries-1]
	f.want(f.raw(`{"alg":"HS256"}`, f.payload("")), OK)
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
}

type unready struct{}

func (unready) Find(string) *Key { return nil }
func (unready) All() []*Key      { return nil }
func (unready) Signer() *Key     { return nil }
func (unready) Ready() bool      { return false }

func TestRequiredClaims(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.Required = []string{"sub", "realm.roles"}
	f.want(f.token(nil), TokenClaims)
	f.want(f.token(map[string]any{"realm": map[string]any{"roles": []string{}}}), OK)
	f.want(f.token(map[string]any{"realm": map[string]any{"roles": nil}}), TokenClaims)
	f.want(f.token(map[string]any{"realm.roles": 1}), OK)
	f.want(f.token(map[string]any{"sub": nil, "realm.roles": 1}), TokenClaims)
}

func TestSubjectClaim(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.SubjectClaim = "user.id"
	f.policy.Forward.Claims = []ClaimHeader{{Header: "X-User-Id"}}
	d := f.want(f.token(map[string]any{"user": map[string]any{"id": "u7"}}), OK)
	if d.Principal.Token.Subject() != "u7" {
		t.Errorf("subject %q", d.Principal.Token.Subject())
	}
	if got := headersOf(d); got["X-User-Id"] != "u7" {
		t.Errorf("forwarded %q", got)
	}
	f.want(f.token(map[string]any{"user": map[string]any{"id": []string{"u7"}}, "jti": "t2"}), TokenClaims)
}

func TestR08TokenWithoutJTI(t *testing.T) {
	f := newFixture(t, "HS256")
	token := f.token(map[string]any{"jti": nil})
	digest := sha256.Sum256([]byte(token[:strings.LastIndexByte(token, '.')]))
	id := hex.EncodeToString(digest[:])
	if d := f.want(token, OK); d.Principal.Token.ID() != id || d.Principal.Token.SessionID() != id {
		t.Errorf("id %q, session %q, want %q", d.Principal.Token.ID(), d.Principal.Token.SessionID(), id)
	}
	f.list.add(Revocation{Kind: KindToken, Issuer: "main", ID: id})
	f.want(token, TokenRevoked)
	f.want(f.token(map[string]any{"jti": nil, "sub": "u2"}), OK)
}

func TestRemovedKeyTakesItsTokensAlong(t *testing.T) {
	for _, kid := range []string{"k1", ""} {
		f := newFixture(t, "HS256")
		f.key = keyFor(t, kid, "HS256")
		f.issuer.Keys = NewStaticKeys([]*Key{f.key})
		token := f.token(nil)
		d := f.want(token, OK)
		f.issuer.Keys = NewStaticKeys(nil)
		f.want(token, TokenUntrusted)
		if r := f.gate.Recheck(d.Principal, now); r != TokenUntrusted {
			t.Errorf("recheck after the key left: %s", r)
		}
		f.issuer.Keys = NewStaticKeys([]*Key{keyFor(t, kid, "HS256")}) // the same secret, another key
		f.want(token, OK)
	}
}

func TestInspect(t *testing.T) {
	f := newFixture(t, "HS256")
	r, steps := f.gate.Inspect(f.token(nil), now)
	if r.Reason != OK || !strings.Contains(string(r.Header), "HS256") || !strings.Contains(string(r.Claims), `"u1"`) {
		t.Errorf("%+v", r)
	}
	names := []string{}
	for _, s := range steps {
		names = append(names, s.Check)
	}
	for _, want := range []string{"token form", "token header", "signature and issuer", "token claims", "token time", "audience", "token revoked"} {
		if !slices.Contains(names, want) {
			t.Errorf("no step %q in %q", want, names)
		}
	}
	if r, _ := f.gate.Inspect(f.token(map[string]any{"exp": 1}), now); r.Reason != TokenExpired || r.Claims == nil {
		t.Errorf("%+v", r)
	}
	if r, _ := f.gate.Inspect("not a token", now); r.Reason != TokenMalformed || r.Claims != nil {
		t.Errorf("%+v", r)
	}
}
