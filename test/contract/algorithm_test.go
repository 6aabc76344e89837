package contract

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gatehouse/auth"
	"gatehouse/test/rig"
)

// algorithms are all there are, with the key pair that each is used with;
// empty: a secret.
var algorithms = map[string]string{
	"HS256": "", "HS384": "", "HS512": "", "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
	"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519",
}

// Each algorithm signs, verifies and renews: one issuer for each, with a token
// that the program mints, one that we sign, and the successors of both.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{}
	w := start(t, "memory:", func(c *rig.Config) {
		issuers := ""
		for algorithm, pair := range algorithms {
			source := "private_key_file: " + algorithm + ".key"
			if pair == "" {
				secrets[algorithm] = strings.Repeat(algorithm+"-", 11) // 66 bytes
				source = "secret: " + secrets[algorithm]
			} else {
				c.Files[algorithm+".key"] = rig.PrivatePEM(rig.KeyPairs()[pair])
			}
			issuers += fmt.Sprintf("  - {name: %[1]s, issuer: \"https://%[1]s.example\", audiences: [api], keys: [{kid: %[1]s, algorithm: %[1]s, %[2]s}], renew: {after: 0}}\n", algorithm, source)
		}
		c.YAML = strings.Replace(c.YAML, "issuers:\n", "issuers:\n"+issuers, 1)
		c.YAML += "  - {name: renewing, match: /renewing/, auth: bearer, renew: true}\n"
	})
	for algorithm, pair := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			mint := rig.Command(w.Folder, "token", "mint", "--issuer", algorithm, "--subject", "alice", "--audience", "api")
			mint.Env = environmentOf(w)
			minted, err := mint.Output()
			if err != nil {
				t.Fatalf("token mint: %v", err)
			}
			for name, tok := range map[string]string{"minted": strings.TrimSpace(string(minted)), "signed here": signed(t, algorithm, pair, secrets[algorithm])} {
				for generation := range 3 {
					if got := headerOf(t, tok); got["alg"] != algorithm || got["kid"] != algorithm {
						t.Fatalf("%s, generation %d: header %v", name, generation, got)
					}
					a := w.Send(t, rig.Get("/renewing/", bearer(tok)))
					if a.Status != 200 || a.Token() == "" || a.Token() == tok {
						t.Fatalf("%s, generation %d: %d %s, renewed %q", name, generation, a.Status, a.Body, a.Token())
					}
					if got := w.up.Last(t).Header.Get("X-User-Id"); got != "alice" {
						t.Errorf("%s, generation %d: X-User-Id %q", name, generation, got)
					}
					w.Send(t, rig.Get("/renewing/", bearer(forge(tok)))).Refused(t, 401, "token_untrusted")
					tok = a.Token()
				}
			}
		})
	}
}

func signed(t *testing.T, algorithm, pair, secret string) string {
	t.Helper()
	key, err := auth.NewSecretKey(algorithm, algorithm, []byte(secret))
	if pair != "" {
		var private crypto.Signer = rig.KeyPairs()[pair]
		key, err = auth.NewSigningKey(algorithm, algorithm, private)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := auth.Sign(key, "at+jwt", claims(map[string]any{"iss": "https://" + algorithm + ".example"}))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// headerOf and payloadOf are the parts of a token.
func headerOf(t *testing.T, token string) map[string]any { return part(t, token, 0) }

func payloadOf(t *testing.T, token string) map[string]any { return part(t, token, 1) }

func part(t *testing.T, token string, i int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[i])
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}
