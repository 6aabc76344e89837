// Package campaign sends the built program credentials in masses: good ones
// that were changed in every way that has a name and in random ones, of which
// none may get through and none may be answered 5xx; and requests of strangers
// that try to cost more than others.
package campaign

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

const (
	apiKey        = "gh_f0R-tests-of-many-Characters-and-d1gits"
	secret        = "b7Kq0vXw3NfZr8TjYd5LhGm2CsPa9EuQ"
	partnerSecret = "M4xT1oJz6WcVb0RyKi8HnDq5UgSe2LfA"
	issuer        = "https://auth.example.com"
	partner       = "https://partner.example.com"
)

// configuration has keys of each kind, as many as are tried for a token that names
// none of them, and an issuer whose key has the kid of another's.
var configuration = `
server: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0", token: "${ADMIN_TOKEN}"}
store: {url: "memory:"}
log: {access: false}
api_keys: {keys: [{id: web, sha256: "${KEY}"}]}
issuers:
  - name: main
    issuer: https://auth.example.com
    audiences: [api]
    max_token_life: 1h
    keys:
      - {kid: hs, algorithm: HS256, secret: "${SECRET}"}
      - {kid: rs, algorithm: RS256, public_key_file: rs.pem}
      - {kid: rs2, algorithm: RS256, public_key_file: rs2.pem}
      - {kid: ps, algorithm: PS256, public_key_file: rs.pem}
` + fours(map[string]string{"es": "ES256", "es384": "ES384", "es512": "ES512", "ed": "EdDSA", "rs4096": "RS384", "rs8192": "RS512"}) + `  - name: partner
    issuer: https://partner.example.com
    audiences: [api]
    keys: [{kid: hs, algorithm: HS256, secret: "${PARTNER_SECRET}"}]
routes: [{name: orders, match: /, upstream: "${UPSTREAM}", issuers: [main]}]
`

// fours are four keys of each algorithm, by the first one's kid and file.
func fours(algorithms map[string]string) (lines string) {
	for kid, algorithm := range algorithms {
		for _, end := range []string{"", "-b", "-c", "-d"} {
			lines += fmt.Sprintf("      - {kid: %s%s, algorithm: %s, public_key_file: %s.pem}\n", kid, end, algorithm, kid)
		}
	}
	return lines
}

// world is a gateway in front of an upstream that counts.
type world struct {
	*rig.Gateway
	forwarded atomic.Int64
	tokens    [][3]string // good ones, in their segments
	publicPEM string      // of the key rs
}

func start(t testing.TB) *world {
	t.Helper()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pairs := rig.KeyPairs()
	up := rig.StartUpstream(t)
	w := &world{publicPEM: rig.PublicPEM(pairs["RSA"])}
	up.Handle(t, func(_ http.ResponseWriter, _ *http.Request) {
		w.forwarded.Add(1)
		up.Take()
	})
	w.Gateway = rig.Start(t, rig.Config{
		YAML: configuration,
		Files: map[string]string{
			"rs.pem": w.publicPEM, "rs2.pem": rig.PublicPEM(other), "es.pem": rig.PublicPEM(pairs["P-256"]),
			"es384.pem": rig.PublicPEM(pairs["P-384"]), "es512.pem": rig.PublicPEM(pairs["P-521"]), "ed.pem": rig.PublicPEM(pairs["Ed25519"]),
			"rs4096.pem": nobodysPEM(t, 4096), "rs8192.pem": nobodysPEM(t, 8192),
		},
		Env: map[string]string{
			"UPSTREAM": up.URL, "ADMIN_TOKEN": rig.AdminToken, "KEY": rig.Hash(apiKey), "SECRET": secret, "PARTNER_SECRET": partnerSecret,
		},
	})
	for kid, algorithm := range map[string]string{"hs": "HS256", "rs": "RS256", "ps": "PS256", "es": "ES256", "es384": "ES384", "es512": "ES512", "ed": "EdDSA"} {
		pair := map[string]string{"rs": "RSA", "ps": "RSA", "es": "P-256", "es384": "P-384", "es512": "P-521", "ed": "Ed25519"}[kid]
		key, err := auth.NewSecretKey(kid, "HS256", []byte(secret))
		if pair != "" {
			key, err = auth.NewSigningKey(kid, algorithm, pairs[pair])
		}
		for n := 0; n < 20 && err == nil; n++ {
			w.tokens = append(w.tokens, segments(t, key, "JWT", claims(n)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// nobodysPEM is an RSA key of which nobody has the private half: forgeries need none.
func nobodysPEM(t testing.TB, bits int) string {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n.SetBit(n, bits-1, 1).SetBit(n, 0, 1), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// segments are those of a new token.
func segments(t testing.TB, key *auth.Key, typ string, claims map[string]any) [3]string {
	t.Helper()
	text, err := auth.Sign(key, typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return [3]string(strings.Split(text, "."))
}

func claims(n int) map[string]any {
	now := time.Now().Unix()
	return map[string]any{"iss": issuer, "aud": "api", "sub": fmt.Sprintf("user-%d", n), "iat": now - 1, "exp": now + 3000, "jti": fmt.Sprintf("t%d", n)}
}

func encode(v any) string {
	text, _ := json.Marshal(v) // maps of strings and numbers
	return base64.RawURLEncoding.EncodeToString(text)
}

func decode(segment string) map[string]any {
	var v map[string]any
	text, _ := base64.RawURLEncoding.DecodeString(segment)
	_ = json.Unmarshal(text, &v)
	return v
}

const (
	keyLine = "Api-Key: " + apiKey
	head    = "GET /orders/1 HTTP/1.1\r\nHost: gw.example\r\n"
)

func bearer(token string) string { return "Authorization: Bearer " + token }

// request is a request of those header lines.
func request(lines ...string) string { return head + strings.Join(lines, "\r\n") + "\r\n\r\n" }

// good are the lines of a request that gets through.
func (w *world) good(n int) []string {
	return []string{keyLine, bearer(strings.Join(w.tokens[n%len(w.tokens)][:], "."))}
}

// statuses sends the requests, depth of them before the first of their answers is
// read, and returns the statuses of the answers. After an answer that ends the
// connection it goes on with the next request on another.
func (w *world) statuses(t testing.TB, requests []string, depth int) (all []int) {
	for len(all) < len(requests) {
		c := w.Dial(t)
		r := bufio.NewReaderSize(c.Conn, 16<<10)
		before := len(all)
		for open := true; open && len(all) < len(requests); {
			piece := requests[len(all):min(len(all)+depth, len(requests))]
			_, _ = io.WriteString(c, strings.Join(piece, "")) // the gateway may have hung up
			for range piece {
				res, err := http.ReadResponse(r, nil)
				if err == nil {
					_, err = io.Copy(io.Discard, res.Body)
				}
				if err == nil {
					all = append(all, res.StatusCode)
				}
				if open = err == nil && !res.Close; !open {
					break
				}
			}
		}
		_ = c.Close()
		if len(all) == before {
			t.Errorf("no answer to %q", requests[before])
			return all
		}
	}
	return all
}
