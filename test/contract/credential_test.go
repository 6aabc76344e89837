package contract

import (
	"crypto/ecdsa"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"gatehouse/auth"
	"gatehouse/test/rig"
)

// Two keys with one id are one client: that is how a key is rotated.
func TestKeysWithOneID(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", func(c *rig.Config) {
		c.YAML = strings.Replace(c.YAML, "- {id: lost,", "- {id: web,", 1)
	})
	for _, key := range []string{apiKey, lostKey} {
		if a := w.Send(t, rig.Get("/key/", "Api-Key: "+key)); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if got := w.up.Last(t).Header.Get("X-Client-Id"); got != "web" {
			t.Errorf("X-Client-Id is %q", got)
		}
	}
	w.revoke(t, `{"kind":"api_key","id":"web"}`)
	for _, key := range []string{apiKey, lostKey} {
		w.eventually(t, rig.Get("/key/", "Api-Key: "+key), 401)
	}
}

func TestNameOfTheKeyHeader(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", func(c *rig.Config) {
		c.YAML = strings.Replace(c.YAML, "api_keys:\n", "api_keys:\n  header: x-company-KEY\n", 1)
	})
	if a := w.Send(t, rig.Get("/key/", "X-Company-Key: "+apiKey, "Api-Key: other")); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := w.up.Last(t).Header; got.Get("X-Company-Key") != "" || got.Get("Api-Key") != "other" {
		t.Errorf("the upstream got %v", got)
	}
	a := w.Send(t, rig.Get("/key/", keyLine))
	a.Refused(t, 401, "api_key_missing")
	if got := a.Header.Get("Www-Authenticate"); got != `ApiKey header="X-Company-Key"` {
		t.Errorf("WWW-Authenticate is %q", got)
	}
}

// What an issuer may say of its tokens.
func TestIssuerOptions(t *testing.T) {
	t.Parallel()
	private := rig.KeyPairs()["P-256"].(*ecdsa.PrivateKey)
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	set := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"js","use":"sig","alg":"ES256","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
	w := start(t, "memory:", func(c *rig.Config) {
		c.Files["set.json"] = set
		c.YAML = strings.Replace(c.YAML, "issuers:\n", `issuers:
  - {name: bare, issuer: "", any_audience: true, required_claims: [uid], subject_claim: uid, jwks_file: set.json, algorithms: [ES256], leeway: 0s, max_token_life: 1h}
`, 1)
		c.YAML += "  - {name: bare, match: /bare/, auth: bearer, issuers: [bare]}\n"
	})
	key, err := auth.NewSigningKey("js", "ES256", private)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name    string
		changes map[string]any
		code    string
	}{
		{"as configured", map[string]any{"iss": nil, "aud": nil, "sub": nil, "uid": "u1"}, ""},
		{"any audience", map[string]any{"iss": nil, "aud": []string{"x"}, "uid": "u1"}, ""},
		{"an issuer's name", map[string]any{"uid": "u1"}, "token_untrusted"},
		{"an empty name", map[string]any{"iss": "", "uid": "u1"}, "token_untrusted"},
		{"no required claim", map[string]any{"iss": nil}, "token_claims"},
		{"a longer life", map[string]any{"iss": nil, "uid": "u1", "iat": claims(nil)["exp"].(int64) - 3601}, "token_claims"},
	} {
		text, err := auth.Sign(key, "", claims(row.changes))
		if err != nil {
			t.Fatal(err)
		}
		w.up.Take()
		a := w.Send(t, rig.Get("/bare/", bearer(text)))
		if row.code != "" {
			a.Refused(t, 401, row.code)
			w.up.Nothing(t)
			continue
		}
		if a.Status != 200 {
			t.Errorf("%s: %d %s", row.name, a.Status, a.Body)
			continue
		}
		if line, _ := w.Log.Access(t, a); line["sub"] != "u1" {
			t.Errorf("%s: sub %v", row.name, line["sub"])
		}
		if got := w.up.Last(t).Header.Get("X-User-Id"); got != "u1" {
			t.Errorf("%s: X-User-Id is %q", row.name, got)
		}
	}
}
