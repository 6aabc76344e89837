package threats

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

func TestJ01AlgorithmNone(t *testing.T) {
	w := attack(t)
	p := payload(t, nil)
	var all []forged
	for _, alg := range []string{`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `" none"`, `"none "`, `""`, `"HS256 "`, `"hs256"`, `"HS256\u0000"`} {
		header := fmt.Sprintf(`{"alg":%s,"kid":"hs"}`, alg)
		all = append(all,
			forged{alg + " signed", jws(header, p, hs(secret)), "token_untrusted"},
			forged{alg + " without signature", jws(header, p, fixed("")), "token_untrusted"},
			forged{alg + " with zeros", jws(header, p, fixed("\x00")), "token_untrusted"})
	}
	for _, alg := range []string{`null`, `256`, `["HS256"]`, `{"HS256":1}`, `true`} {
		all = append(all, forged{alg, jws(fmt.Sprintf(`{"alg":%s,"kid":"hs"}`, alg), p, hs(secret)), "token_malformed"})
	}
	all = append(all, forged{"missing", jws(`{"kid":"hs"}`, p, hs(secret)), "token_untrusted"})
	w.untrusted(t, all...)
}

func TestJ02PublicKeyAsSecret(t *testing.T) {
	w := attack(t)
	var all []forged
	for kid, pair := range map[string]string{"rs": "RSA", "es": "P-256", "ed": "Ed25519"} {
		for name, secret := range map[string]string{"PEM": rig.PublicPEM(rig.KeyPairs()[pair]), "PEM without line end": strings.TrimSpace(rig.PublicPEM(rig.KeyPairs()[pair]))} {
			all = append(all,
				forged{kid + " " + name, jws(fmt.Sprintf(`{"alg":"HS256","kid":%q}`, kid), payload(t, nil), hs(secret)), "token_untrusted"},
				forged{kid + " " + name + " without kid", jws(`{"alg":"HS256"}`, payload(t, nil), hs(secret)), "token_untrusted"})
		}
	}
	w.untrusted(t, all...)
}

func TestJ03OneAlgorithmPerKey(t *testing.T) {
	w := attack(t)
	p := payload(t, nil)
	w.untrusted(t,
		forged{"PS256 by the RS256 key", jws(`{"alg":"PS256","kid":"rs"}`, p, ps256(32)), "token_untrusted"},
		forged{"RS256 by the PS256 key", jws(`{"alg":"RS256","kid":"ps"}`, p, rs256), "token_untrusted"},
		forged{"RS512 in name", jws(`{"alg":"RS512","kid":"rs"}`, p, rs256), "token_untrusted"},
		forged{"HS512 in name", jws(`{"alg":"HS512","kid":"hs"}`, p, hs(secret)), "token_untrusted"},
		forged{"ES384 in name", jws(`{"alg":"ES384","kid":"es"}`, p, es256(unchanged)), "token_untrusted"},
		forged{"ES256 by the P-384 key", jws(`{"alg":"ES256","kid":"es384"}`, p, es256(unchanged)), "token_untrusted"},
		forged{"kid of another key", jws(`{"alg":"RS256","kid":"es"}`, p, rs256), "token_untrusted"},
	)
}

func TestJ04SaltLength(t *testing.T) {
	w := attack(t)
	header := `{"alg":"PS256","kid":"ps"}`
	if a := w.Send(t, rig.Get("/orders/", keyLine, bearer(jws(header, payload(t, nil), ps256(32))))); a.Status != 200 {
		t.Errorf("the right salt: %d", a.Status)
	}
	w.up.Take()
	var all []forged
	for _, salt := range []int{-1 + 1 + 1, 20, 31, 33, 48, 64} {
		all = append(all, forged{fmt.Sprint(salt), jws(header, payload(t, nil), ps256(salt)), "token_untrusted"})
	}
	w.untrusted(t, all...)
}

func TestJ05Kid(t *testing.T) {
	w := attack(t)
	p := payload(t, nil)
	header := func(kid any) string {
		text, err := json.Marshal(map[string]any{"alg": "HS256", "kid": kid})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var all []forged
	for _, kid := range []string{
		"../../etc/passwd", "/dev/null", "x' OR '1'='1", "hs\x00", "hs\r\nX: y", "HS", "hs ", "nothing", "http://127.0.0.1:1/k", "|id", "${SECRET}",
		strings.Repeat("k", 128),
	} {
		for _, secret := range []string{secret, "", "\x00"} {
			all = append(all, forged{fmt.Sprintf("%.20q by %.3q", kid, secret), jws(header(kid), p, hs(secret)), "token_untrusted"})
		}
	}
	for _, kid := range []any{1, true, []string{"hs"}, map[string]string{"hs": "hs"}, strings.Repeat("k", 129), strings.Repeat("k", 64<<10)} {
		f := forged{fmt.Sprintf("%.20v", kid), jws(header(kid), p, hs(secret)), "token_malformed"}
		if raw := rig.Get("/orders/1", keyLine, bearer(f.token)); len(raw) > 32<<10 {
			w.refused(t, try{"64 KiB", raw, 431, "request_too_large"})
			continue
		}
		all = append(all, f)
	}
	w.untrusted(t, all...)
}

func TestJ06KeyInHeader(t *testing.T) {
	w := attack(t)
	caught := rig.StartUpstream(t) // whoever asks there for a key is caught
	p := payload(t, nil)
	ownSecret := "a secret that the attacker has made up, 32 bytes"
	jwk := fmt.Sprintf(`{"kty":"oct","kid":"hs","alg":"HS256","k":%q}`, b64(ownSecret))
	var all []forged
	for _, member := range []string{
		fmt.Sprintf(`"jku":"%s/jwks.json"`, caught.URL), fmt.Sprintf(`"x5u":"%s/x.pem"`, caught.URL), `"jwk":` + jwk, `"x5c":["MIIB"]`,
		fmt.Sprintf(`"iss":"%s"`, caught.URL),
	} {
		for _, kid := range []string{`,"kid":"hs"`, `,"kid":"new"`, ``} {
			all = append(all, forged{member[:5] + kid, jws(`{"alg":"HS256",`+member+kid+`}`, p, hs(ownSecret)), "token_untrusted"})
		}
	}
	w.untrusted(t, all...)
	caught.Nothing(t)
}

func TestJ07PsychicSignatures(t *testing.T) {
	w := attack(t)
	var all []forged
	numbers := map[string]func(r, n *big.Int){
		"0": func(r, _ *big.Int) { r.SetInt64(0) }, "1": func(r, _ *big.Int) { r.SetInt64(1) },
		"n": func(r, n *big.Int) { r.Set(n) }, "n-1": func(r, n *big.Int) { r.Sub(n, big.NewInt(1)) },
		"own": func(_, _ *big.Int) {},
	}
	for nameR, changeR := range numbers {
		for nameS, changeS := range numbers {
			if nameR == "own" && nameS == "own" {
				continue
			}
			sign := es256(func(r, s, n *big.Int) { changeR(r, n); changeS(s, n) })
			all = append(all, forged{"r " + nameR + " s " + nameS, jws(`{"alg":"ES256","kid":"es"}`, payload(t, nil), sign), "token_untrusted"})
		}
	}
	ed := `{"alg":"EdDSA","kid":"ed"}`
	for name, signature := range map[string]string{
		"zeros": strings.Repeat("\x00", 64), "identity": "\x01" + strings.Repeat("\x00", 63), "small order": "\xec" + strings.Repeat("\xff", 30) + "\x7f" + strings.Repeat("\x00", 32),
		"empty behind": strings.Repeat("\x00", 63), "short": "\x00",
	} {
		all = append(all, forged{"EdDSA " + name, jws(ed, payload(t, nil), fixed(signature)), "token_untrusted"})
	}
	w.untrusted(t, all...)
}

// Members of the header that change what a token is, and members that occur
// twice.
func TestJ08J09J10Header(t *testing.T) {
	w := attack(t)
	p := payload(t, nil)
	var all []forged
	for _, header := range []string{
		`{"alg":"HS256","kid":"hs","crit":["x"],"x":1}`, `{"alg":"HS256","kid":"hs","crit":["exp"]}`, `{"alg":"HS256","kid":"hs","crit":[]}`,
		`{"alg":"HS256","kid":"hs","crit":null}`, `{"alg":"HS256","kid":"hs","b64":false,"crit":["b64"]}`, `{"alg":"HS256","kid":"hs","b64":false}`,
		`{"alg":"HS256","kid":"hs","b64":true}`, `{"alg":"none","alg":"HS256","kid":"hs"}`, `{"alg":"HS256","alg":"HS256","kid":"hs"}`,
		`{"alg":"HS256","kid":"x","kid":"hs"}`, `{"alg":"HS256","kid":"hs","x":{"a":1,"a":2}}`,
	} {
		all = append(all, forged{header[15:], jws(header, p, hs(secret)), "token_malformed"})
	}
	all = append(all, forged{"unencoded", b64(`{"alg":"HS256","kid":"hs","b64":false}`) + "." + p + "." + b64("x"), "token_malformed"})
	w.untrusted(t, all...)
}

func TestJ11DuplicateClaims(t *testing.T) {
	w := attack(t)
	p := payload(t, map[string]any{"roles": []string{"user"}})
	with := func(members string) string { return jws(good, p[:len(p)-1]+","+members+"}", hs(secret)) }
	w.untrusted(t,
		forged{"sub twice", with(`"sub":"root"`), "token_malformed"},
		forged{"escaped", with(`"s\u0075b":"root"`), "token_malformed"},
		forged{"deep down", with(`"realm":{"roles":["a"],"roles":["b"]}`), "token_malformed"},
		forged{"Exp instead of exp", jws(good, strings.Replace(p, `"exp"`, `"Exp"`, 1), hs(secret)), "token_claims"},
	)
	w.refused(t, try{"ROLES beside roles", rig.Get("/admin/", keyLine, bearer(with(`"ROLES":["admin"]`))), 403, "claim_forbidden"})
}

func TestJ12J13J14Dates(t *testing.T) {
	w := attack(t)
	p := payload(t, map[string]any{"exp": nil, "iat": nil})
	with := func(members string) string { return jws(good, p[:len(p)-1]+members+"}", hs(secret)) }
	soon := time.Now().Unix() + 600
	var all []forged
	for _, exp := range []string{fmt.Sprintf(`"%d"`, soon), "true", "null", fmt.Sprintf("[%d]", soon), "{}", `""`} {
		all = append(all, forged{"exp " + exp, with(`,"exp":` + exp), "token_claims"})
	}
	all = append(all, forged{"no exp", with(""), "token_claims"}, forged{"exp 0", with(`,"exp":0`), "token_expired"})
	for _, exp := range []string{"9000000000000000000", "9223372036854775807", "9223372036854775808", "18446744073709551616", "1e300", "1e400", "1e19", "99999999999"} {
		all = append(all, forged{"exp " + exp, with(`,"exp":` + exp), "token_claims"}, forged{"negative exp " + exp, with(`,"exp":-` + exp), ""})
	}
	for _, date := range []string{"iat", "nbf"} {
		for _, value := range []string{`"0"`, "true", "1e400"} {
			all = append(all, forged{date + " " + value, with(fmt.Sprintf(`,"exp":%d,%q:%s`, soon, date, value)), "token_claims"})
		}
	}
	for i := range all {
		if all[i].code == "" { // long ago, be it so long that it is no date
			all[i].code = "token_expired"
			if !strings.HasSuffix(all[i].name, "99999999999") {
				all[i].code = "token_claims"
			}
		}
	}
	w.untrusted(t, all...)
	if a := w.Send(t, rig.Get("/orders/1", keyLine, bearer(with(fmt.Sprintf(`,"exp":%d.75`, soon))))); a.Status != 200 {
		t.Errorf("a fraction: %d %s", a.Status, a.Body)
	}
}

func TestJ15TimeAndLeeway(t *testing.T) {
	w := attack(t)
	now := time.Now().Unix()
	w.untrusted(t,
		forged{"expired", token(t, map[string]any{"exp": now - 60, "iat": now - 120}), "token_expired"},
		forged{"expired beyond the leeway", token(t, map[string]any{"exp": now - 11, "iat": now - 120}), "token_expired"},
		forged{"nbf ahead", token(t, map[string]any{"nbf": now + 60}), "token_not_yet_valid"},
		forged{"iat ahead", token(t, map[string]any{"iat": now + 60}), "token_not_yet_valid"},
		forged{"too long a life", token(t, map[string]any{"exp": now + 24*3600 + 60}), "token_claims"},
		forged{"iat far back", token(t, map[string]any{"iat": now - 24*3600}), "token_claims"},
	)
	if a := w.Send(t, rig.Get("/both/1", keyLine, bearer(token(t, map[string]any{"exp": now - 2, "iat": now - 120})))); a.Status != 200 {
		t.Errorf("within the leeway: %d %s", a.Status, a.Body)
	}
	misconfigured(t, replace("audiences: [api]\n    keys:\n", "audiences: [api]\n    leeway: 61s\n    keys:\n"), "issuers[0].leeway")
}

func TestJ16Audience(t *testing.T) {
	w := attack(t)
	var all []forged
	for _, aud := range []any{nil, "", "ap", "apis", "api ", "API", "other", []string{}, []string{"other"}, []any{"other", 1}, map[string]any{"api": true}, true, 1} {
		all = append(all, forged{fmt.Sprintf("%v", aud), token(t, map[string]any{"aud": aud}), "token_audience"})
	}
	all = append(all, forged{"null", jws(good, strings.Replace(payload(t, nil), `"api"`, "null", 1), hs(secret)), "token_audience"})
	w.untrusted(t, all...)
	if a := w.Send(t, rig.Get("/orders/1", keyLine, bearer(token(t, map[string]any{"aud": []string{"other", "api"}})))); a.Status != 200 {
		t.Errorf("one of two audiences: %d", a.Status)
	}
	misconfigured(t, replace("    audiences: [api]\n    keys:\n", "    keys:\n"), "issuers[0].audiences")
}

func TestJ17J29Issuer(t *testing.T) {
	w := attack(t)
	var all []forged
	for _, iss := range []any{nil, "", issuer + "/", strings.ToUpper(issuer), issuer + " ", "https://auth.example.com.evil", partner, []string{issuer}, 1} {
		all = append(all, forged{fmt.Sprintf("%v", iss), token(t, map[string]any{"iss": iss}), "token_untrusted"})
	}
	p := payload(t, map[string]any{"iss": partner})
	theirs := jws(good, p, hs(otherSecret))
	all = append(all,
		forged{"main's name by the partner's key of the same kid", jws(good, payload(t, nil), hs(otherSecret)), "token_untrusted"},
		forged{"the partner's token on main's route", theirs, "token_untrusted"},
	)
	w.untrusted(t, all...)
	w.refused(t, try{"the partner's name by main's key", rig.Get("/both/", keyLine, bearer(jws(good, p, hs(secret)))), 401, "token_untrusted"})
	if a := w.Send(t, rig.Get("/both/", keyLine, bearer(theirs))); a.Status != 200 {
		t.Errorf("the partner's token where it is accepted: %d", a.Status)
	}
	w.up.Take()
	w.untrusted(t, forged{"the partner's token, remembered", theirs, "token_untrusted"})
}

func TestJ18Type(t *testing.T) {
	w := attack(t)
	var all []forged
	for _, typ := range []string{"refresh+jwt", "id_token", "logout+jwt", "dpop+jwt", "JWE", "jwt ", "application/jwt", "secevent+jwt"} {
		all = append(all, forged{typ, jws(fmt.Sprintf(`{"alg":"HS256","kid":"hs","typ":%q}`, typ), payload(t, nil), hs(secret)), "token_malformed"})
	}
	all = append(all, forged{"no string", jws(`{"alg":"HS256","kid":"hs","typ":1}`, payload(t, nil), hs(secret)), "token_malformed"})
	w.untrusted(t, all...)
	for _, header := range []string{`{"alg":"HS256","kid":"hs"}`, good, `{"alg":"HS256","kid":"hs","typ":"at+jwt"}`, `{"alg":"HS256","kid":"hs","typ":"application/at+jwt"}`} {
		if a := w.Send(t, rig.Get("/orders/", keyLine, bearer(jws(header, payload(t, nil), hs(secret))))); a.Status != 200 {
			t.Errorf("%s: %d", header, a.Status)
		}
	}
}
