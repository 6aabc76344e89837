package threats

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// The form of a token: what is one, byte by byte, and what stands in it.

func TestJ19OtherSerialisations(t *testing.T) {
	w := attack(t)
	tok := token(t, nil)
	part := strings.Split(tok, ".")
	nested := jws(`{"alg":"HS256","kid":"hs","cty":"JWT","typ":"JWT"}`, tok, hs(secret))
	w.untrusted(t,
		forged{"JWE", b64(`{"alg":"dir","enc":"A128GCM"}`) + "..AAAA.AAAA.AAAA", "token_malformed"},
		forged{"four parts", tok + ".AAAA", "token_malformed"},
		forged{"two parts", part[0] + "." + part[1], "token_malformed"},
		forged{"JSON", fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, part[1], part[0], part[2]), "token_malformed"},
		forged{"nested", nested, "token_malformed"},
		forged{"no header", "." + part[1] + "." + part[2], "token_malformed"},
		forged{"no payload", part[0] + ".." + part[2], "token_malformed"},
		forged{"no signature", part[0] + "." + part[1] + ".", "token_untrusted"},
	)
}

func TestJ20J21CanonicalEncoding(t *testing.T) {
	w := attack(t)
	var tok string
	for tok == "" || !strings.ContainsAny(tok, "-_") {
		tok = token(t, nil)
	}
	part := strings.Split(tok, ".")
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(tok) - 1
	altered := tok[:last] + string(alphabet[strings.IndexByte(alphabet, tok[last])|1]) // 32 bytes leave two bits unused
	if altered == tok {
		altered = tok[:last] + string(alphabet[strings.IndexByte(alphabet, tok[last])^1])
	}
	all := []forged{
		{"unused bits", altered, "token_malformed"},
		{"padding", tok + "=", "token_malformed"},
		{"padded parts", part[0] + "=." + part[1] + "=." + part[2] + "=", "token_malformed"},
		{"standard alphabet", strings.NewReplacer("-", "+", "_", "/").Replace(tok), "token_malformed"},
		{"percent", strings.Replace(tok, ".", "%2E", 1), "token_malformed"},
		{"quotes", `"` + tok + `"`, "token_malformed"},
		{"standard base64", base64.StdEncoding.EncodeToString([]byte(good)) + "." + part[1] + "." + part[2], "token_malformed"},
		{"space inside", part[0] + ". " + part[1] + "." + part[2], "token_malformed"},
		{"tab inside", part[0] + "\t." + part[1] + "." + part[2], "token_malformed"},
		{"byte above ASCII", tok[:20] + "\xc3\xa9" + tok[22:], "token_malformed"},
	}
	w.untrusted(t, all...)
	for name, middle := range map[string]string{"CR": "\r", "NUL": "\x00", "LF": "\n", "CRLF": "\r\n", "folded": "\r\n "} {
		w.refused(t, try{name + " inside", rig.Get("/orders/", keyLine, bearer(tok[:20]+middle+tok[20:])), 400, "request_malformed"})
	}
}

// A second string that is the same token is revoked with it.
func TestJ22MalleableSignature(t *testing.T) {
	w := attack(t)
	p := payload(t, nil)
	header := `{"alg":"ES256","kid":"es"}`
	first := es256(unchanged)
	tok := jws(header, p, first)
	signature, err := base64.RawURLEncoding.DecodeString(strings.Split(tok, ".")[2])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(ecKey().Params().N, s)
	twin := jws(header, p, fixed(string(signature[:32])+string(s.FillBytes(make([]byte, 32)))))
	var jti struct{ JTI string }
	if err := json.Unmarshal([]byte(p), &jti); err != nil {
		t.Fatal(err)
	}
	for _, each := range []string{tok, twin} {
		if a := w.Send(t, rig.Get("/orders/", keyLine, bearer(each))); a.Status != 200 {
			t.Fatalf("before: %d %s", a.Status, a.Body)
		}
	}
	w.revoke(t, fmt.Sprintf(`{"kind":"jti","id":%q,"issuer":"main"}`, jti.JTI), tok)
	w.up.Take()
	w.untrusted(t, forged{"twin", twin, "token_revoked"})
}

// revoke revokes by the admin API, and waits until the token is refused.
func (w *world) revoke(t *testing.T, body, token string) {
	t.Helper()
	if a := w.AdminCall(t, "POST", "/v1/revocations", body); a.Status != 201 {
		t.Fatalf("revoking %s: %d %s", body, a.Status, a.Body)
	}
	rig.Eventually(t, "revoked", func() bool {
		return w.Send(t, rig.Get("/both/", keyLine, bearer(token))).Status == 401
	})
}

func TestJ23J24Objects(t *testing.T) {
	w := attack(t)
	p := payload(t, nil)
	var all []forged
	for _, form := range []string{"%sgarbage", "%s{}", "%[1]s%[1]s", "%s,", "[%s]", "\ufeff%s", "%.10s", "null", "[]", `"x"`, "0", " ", "{", "{,}", `{"alg"}`, "{alg:1}"} {
		fill := func(s string) string {
			if strings.Contains(form, "%") {
				return fmt.Sprintf(form, s)
			}
			return form
		}
		all = append(all,
			forged{"payload " + form, jws(good, fill(p), hs(secret)), "token_malformed"},
			forged{"header " + form, jws(fill(good), p, hs(secret)), "token_malformed"})
	}
	w.untrusted(t, all...)
}

func TestJ25J26Size(t *testing.T) {
	w := attack(t)
	wide := make([]string, 0, 1000)
	for i := range 1000 {
		wide = append(wide, fmt.Sprintf(`"k%d":1`, i))
	}
	deep := strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000)
	w.untrusted(t,
		forged{"dots", strings.Repeat(".", 3000), "token_malformed"},
		forged{"many dots", strings.Repeat(".", 30000), "token_malformed"},
		forged{"longer than max_token_bytes", token(t, map[string]any{"pad": strings.Repeat("x", 4000)}), "token_malformed"},
		forged{"header longer than 1 KiB", jws(fmt.Sprintf(`{"alg":"HS256","kid":"hs","x":%q}`, strings.Repeat("x", 800)), payload(t, nil), hs(secret)), "token_malformed"},
		forged{"wide and unsigned", jws(good, "{"+strings.Join(wide[:200], ",")+"}", fixed(strings.Repeat("x", 32))), "token_untrusted"},
		forged{"duplicate and unsigned", jws(good, `{"a":1,"a":2}`, fixed(strings.Repeat("x", 32))), "token_untrusted"},
		forged{"too wide", jws(good, "{"+strings.Join(wide, ",")+"}", hs(secret)), "token_malformed"},
		forged{"deep and unsigned", jws(good, deep[:1500], fixed("x")), "token_untrusted"},
	)
	start := time.Now()
	const times = 200
	raw := rig.Get("/orders/", keyLine, bearer(jws(good, "{"+strings.Join(wide[:200], ",")+"}", fixed(strings.Repeat("x", 32)))))
	for range times {
		w.Send(t, raw)
	}
	if took := time.Since(start) / times; took > 50*time.Millisecond {
		t.Errorf("refusing a large token takes %s", took)
	}
}

func TestJ27K02WeakSecrets(t *testing.T) {
	for name, secret := range map[string]string{
		"short": strings.Repeat("k7", 15) + "x", "same bytes": strings.Repeat("a", 64), "empty": `""`, "sample": "a-string-secret-at-least-256-bits-long",
	} {
		t.Run(name, func(t *testing.T) {
			misconfigured(t, replace(`secret: "${SECRET}"`, `secret: "`+strings.Trim(secret, `"`)+`"`), "issuers[0].keys[0]")
		})
	}
	misconfigured(t, replace(`sha256: "${WEB_KEY}"`, `sha256: "`+rig.Hash("")+`"`), "api_keys.keys[0].sha256")
	misconfigured(t, replace(`sha256: "${WEB_KEY}"`, `sha256: "`+apiKey+`"`), "api_keys.keys[0].sha256")
}

func TestJ30Digits(t *testing.T) {
	w := attack(t)
	p := strings.Replace(payload(t, nil), `"alice"`, "12345678901234567890", 1)
	if a := w.Send(t, rig.Get("/orders/", keyLine, bearer(jws(good, p, hs(secret))))); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := w.up.Last(t).Header.Get("X-User-Id"); got != "12345678901234567890" {
		t.Errorf("X-User-Id is %q", got)
	}
	w.untrusted(t, forged{"exponent", jws(good, strings.Replace(p, "12345678901234567890", "1e3", 1), hs(secret)), "token_claims"})
}

func TestJ31J32H08H10ClaimsForHeaders(t *testing.T) {
	w := attack(t)
	p := payload(t, nil)
	sub := func(literal string) string { return jws(good, strings.Replace(p, `"alice"`, literal, 1), hs(secret)) }
	with := func(changes map[string]any) string { return token(t, changes) }
	var all []forged
	for _, literal := range []string{`"a\u0000"`, `"a\r\nX-Role: admin"`, `"a\nb"`, `"a\rb"`, `"\u0001"`, `"\u007f"`, `" alice"`, `"alice "`, `["alice"]`, `{"id":1}`} {
		code := "token_claims"
		all = append(all, forged{"sub " + literal, sub(literal), code})
	}
	for name, literal := range map[string]string{"invalid UTF-8": "\"a\xff\"", "lone surrogate": `"\ud800"`, "raw line end": "\"a\nb\"", "raw NUL": "\"a\x00\""} {
		all = append(all, forged{name, sub(literal), "token_malformed"})
	}
	many := make([]string, 400)
	for i := range many {
		many[i] = fmt.Sprintf("r%d", i)
	}
	all = append(all,
		forged{"null subject", sub("null"), "token_claims"},
		forged{"huge e-mail", with(map[string]any{"email": strings.Repeat("x", 1025)}), "token_claims"},
		forged{"array for text", with(map[string]any{"email": []string{"a@b"}}), "token_claims"},
		forged{"object for text", with(map[string]any{"email": map[string]string{"a": "b"}}), "token_claims"},
		forged{"comma in a list", with(map[string]any{"realm": map[string]any{"roles": []string{"user,admin"}}}), "token_claims"},
		forged{"object in a list", with(map[string]any{"realm": map[string]any{"roles": []any{map[string]any{}}}}), "token_claims"},
		forged{"long list", with(map[string]any{"realm": map[string]any{"roles": many}}), "token_claims"},
	)
	w.untrusted(t, all...)
}

func TestJ33SignatureWins(t *testing.T) {
	w := attack(t)
	p := payload(t, map[string]any{"exp": time.Now().Unix() - 1000, "iat": time.Now().Unix() - 2000, "aud": "other"})
	w.untrusted(t,
		forged{"expired and not signed", jws(good, p, hs(otherSecret)), "token_untrusted"},
		forged{"expired", jws(good, p, hs(secret)), "token_expired"},
	)
}

func TestJ34MalformedSignature(t *testing.T) {
	w := attack(t)
	var all []forged
	for _, header := range []string{good, `{"alg":"RS256","kid":"rs"}`, `{"alg":"PS256","kid":"ps"}`, `{"alg":"ES256","kid":"es"}`, `{"alg":"ES384","kid":"es384"}`, `{"alg":"EdDSA","kid":"ed"}`} {
		for _, n := range []int{1, 31, 32, 63, 64, 65, 255, 256, 257, 512} {
			all = append(all, forged{fmt.Sprintf("%s %d bytes", header[8:13], n), jws(header, payload(t, nil), fixed(strings.Repeat("\xff", n))), "token_untrusted"})
		}
	}
	w.untrusted(t, append(all, forged{"impossible length", b64(good) + "." + b64(payload(t, nil)) + ".AAAAA", "token_malformed"})...)
}

// A token without kid is tried with the keys of its algorithm only.
func TestJ35WithoutKid(t *testing.T) {
	w := attack(t)
	p := payload(t, nil)
	for _, tok := range []string{jws(`{"alg":"HS256"}`, p, hs(secret)), jws(`{"alg":"RS256"}`, p, rs256), jws(`{"alg":"ES256"}`, p, es256(unchanged))} {
		if a := w.Send(t, rig.Get("/orders/", keyLine, bearer(tok))); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	w.up.Take()
	w.untrusted(t, forged{"no key of that algorithm", jws(`{"alg":"RS384"}`, p, rs256), "token_untrusted"})
}

func TestJ36L08Successor(t *testing.T) {
	w := attack(t)
	p := payload(t, map[string]any{"roles": []string{"user"}, "sid": "s36"})
	presented := jws(`{"alg":"HS256","kid":"hs","jku":"http://127.0.0.1:1/","x":"y"}`, p, hs(secret))
	renewed := w.Send(t, rig.Get("/orders/", keyLine, bearer(presented), "X-Roles: admin", "X-User-Id: root")).Token()
	part := strings.Split(renewed, ".")
	if len(part) != 3 || renewed == presented {
		t.Fatalf("renewed: %q", renewed)
	}
	if header, err := base64.RawURLEncoding.DecodeString(part[0]); err != nil || string(header) != `{"alg":"HS256","kid":"hs"}` {
		t.Errorf("header %s", header)
	}
	before, after := map[string]any{}, map[string]any{}
	text, _ := base64.RawURLEncoding.DecodeString(part[1])
	if err := json.Unmarshal(text, &after); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(p), &before); err != nil {
		t.Fatal(err)
	}
	if after["jti"] == before["jti"] || after["sid"] != "s36" || after["auth_time"] != before["iat"] {
		t.Errorf("the session is not the same: %s", text)
	}
	for _, name := range []string{"iat", "nbf", "exp", "jti", "auth_time"} {
		delete(before, name)
		delete(after, name)
	}
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("claims %v, want %v", after, before)
	}
	for _, raw := range []string{rig.Get("/key/", keyLine), rig.Get("/open/"), rig.Get("/orders/", keyLine)} {
		if a := w.Send(t, raw); a.Token() != "" {
			t.Errorf("a token for a request without one: %s", raw)
		}
	}
}

// What is said of one issuer, kind or id reaches no other.
func TestK11R18KeysDoNotCollide(t *testing.T) {
	w := attack(t)
	tok := token(t, map[string]any{"sid": "k11", "sub": "k11b", "jti": "k11c"})
	for _, body := range []string{
		`{"kind":"sid","id":"k11","issuer":"partner"}`, `{"kind":"jti","id":"k11b","issuer":"main"}`, `{"kind":"sub","id":"k11","issuer":"main"}`, `{"kind":"client","id":"k11c","issuer":"main"}`,
		`{"kind":"sid","id":"main\u0000k11","issuer":"partner"}`, `{"kind":"sid","id":"k1","issuer":"main"}`, `{"kind":"sid","id":"k111","issuer":"main"}`, `{"kind":"sid","id":"K11","issuer":"main"}`,
		`{"kind":"sub","id":"k11b\u0000","issuer":"main"}`, `{"kind":"api_key","id":"k11"}`,
	} {
		if a := w.AdminCall(t, "POST", "/v1/revocations", body); a.Status != 201 {
			t.Fatalf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	last := token(t, map[string]any{"sid": "k11-last"})
	w.revoke(t, `{"kind":"sid","id":"k11-last","issuer":"main"}`, last) // what came before it is in force too
	if a := w.Send(t, rig.Get("/orders/", keyLine, bearer(tok))); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
