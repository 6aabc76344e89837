package auth

import "testing"

func TestT11CookieCredentials(t *testing.T) {
	f := newFixture(t, "HS256")
	const name = "__Host-access_token"
	good := f.token(nil)
	for header, want := range map[string]Reason{
		name + "=" + good:                      OK,
		"a=b; " + name + "=" + good + " ; c=d": OK,
		name + "=":                             TokenMalformed,
		name:                                   TokenMalformed,
		name + "=" + good + "; " + name + "=" + good: TokenMalformed,
		name + "=" + good + ";" + name + "=":         TokenMalformed,
		name + "=\"" + good + "\"":                   TokenMalformed,
		"__host-access_token=" + good:                TokenMissing, // names are compared byte for byte
		"x" + name + "=" + good:                      TokenMissing,
		"x=\"; " + name + "=" + good:                 OK,
		name + " =" + good:                           TokenMissing,
	} {
		f.issuer.Cookie = name
		h := map[string][]string{"Cookie": {header}}
		if got := f.gate.Decide(f.policy, Extract(h, "Api-Key").WithCookie(h, name), now).Reason; got != want {
			t.Errorf("%.60q: %s, want %s", header, got, want)
		}
	}
	h := map[string][]string{"Cookie": {name + "=" + good}}
	f.issuer.Cookie = ""
	if got := f.gate.Decide(f.policy, Extract(h, "Api-Key").WithCookie(h, name), now).Reason; got != TokenUntrusted {
		t.Errorf("an issuer without a cookie accepts one: %s", got)
	}
	f.issuer.Cookie = "__Host-other"
	if got := f.gate.Decide(f.policy, Extract(h, "Api-Key").WithCookie(h, name), now).Reason; got != TokenUntrusted {
		t.Errorf("an issuer accepts another's cookie: %s", got)
	}
	if got := f.decide(good).Reason; got != OK {
		t.Errorf("an issuer with a cookie does not accept a header: %s", got)
	}
	// What is in the header counts, even if it is bad.
	h["Authorization"] = []string{"Bearer x"}
	c := Extract(h, "Api-Key").WithCookie(h, name)
	if got := f.gate.Decide(f.policy, c, now).Reason; got != TokenMalformed || c.Cookie() != "" {
		t.Errorf("a bad header is passed over for a cookie: %s", got)
	}
}
