package token_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"

	"gatehouse/test/rig"
)

const (
	asForm = "Content-Type: application/x-www-form-urlencoded"
	asJSON = "Content-Type: application/json"
)

// takers are the endpoints that read a body, with a good one.
var takers = []struct{ path, kind, good string }{
	{tokenPath, asForm, jane + "&client_id=spa"},
	{revokePath, asForm, "token=x&client_id=spa"},
	{inspectPath, asForm, "token=x" + backend},
	{apiPath, asJSON, `{"username":"jane","password":"correct horse"}`},
	{"/authenticate", asJSON, `{"apiKey":"` + rig.PartnerKey + `","clientSecret":"` + rig.PartnerSecret + `"}`},
	{"/auth/jwt/login", asForm, jane},
	{"/v1/login", asJSON, `{"email":"jane@example.com","password":"correct horse"}`},
	{"/oauth/token", asForm, "grant_type=client_credentials&client_id=reporting&client_secret=the-secret-of-reporting"},
}

// Bodies that are too large, too slow, or not what they should be. Nothing of
// them reaches the upstream, and none is a fault of the gateway's.
func TestA10Bodies(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", replace("routes:\n", "routes:\n  - {name: rest, match: /, auth: none}\n"))
	pad := map[string]func(good string, n int) string{
		asForm: func(good string, n int) string { return good + "&x=" + strings.Repeat("a", n) },
		asJSON: func(good string, n int) string { return good[:len(good)-1] + strings.Repeat(" ", n) + "}" },
	}
	for _, e := range takers {
		chunked := func(body string) string {
			return "POST " + e.path + " HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n" +
				e.kind + "\r\n" + keyLine + "\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
		}
		post := func(body string, lines ...string) string {
			return rig.Request("POST", e.path, body, append([]string{keyLine}, lines...)...)
		}
		whole := pad[e.kind](e.good, 0)
		other := map[string]string{asForm: asJSON, asJSON: asForm}[e.kind]
		if e.path == "/oauth/token" {
			other = "Content-Type: text/plain" // it takes JSON too
		}
		bad := map[string]struct {
			raw    string
			status []int
		}{
			"over 16 KiB":                 {post(pad[e.kind](e.good, 16<<10+1-len(whole)), e.kind), []int{413}},
			"over 16 KiB, in chunks":      {chunked(pad[e.kind](e.good, 16<<10+1-len(whole))), []int{413}},
			"1 GB announced":              {strings.Replace(post("x", e.kind), "Content-Length: 1", "Content-Length: 1000000000", 1), []int{413}},
			"another content type":        {post(e.good, other), []int{415}},
			"multipart":                   {post(e.good, "Content-Type: multipart/form-data; boundary=x"), []int{415}},
			"no content type":             {post(e.good), []int{415}},
			"two content types":           {post(e.good, e.kind, other), []int{400, 415}},
			"nothing":                     {post("", e.kind, "Content-Length: 0"), []int{400, 401}},
			"a parameter or member twice": {post(twice(e.kind, e.good), e.kind), []int{400}},
			"a file of another kind":      {post("\x00\x01\x02\x1f\x8b", e.kind), []int{400, 401}},
		}
		if e.kind == asJSON {
			for name, body := range map[string]string{
				"an array": "[" + e.good + "]", "null": "null", "a string": `"x"`, "trailing data": e.good + "{}", "not closed": e.good[:len(e.good)-1], "another member": e.good[:len(e.good)-1] + `,"x":1}`,
				"a comma at the end": e.good[:len(e.good)-1] + ",}", "deep": strings.Repeat("[", 8000), "a member in another case": strings.Replace(e.good, `"`, `"X`, 1), "a byte order mark": "\ufeff" + e.good, "invalid UTF-8": strings.Replace(e.good, `:"`, ":\"\xff", 1),
			} {
				bad[name] = struct {
					raw    string
					status []int
				}{post(body, e.kind), []int{400}}
			}
		}
		for name, try := range bad {
			all := w.SendAll(t, try.raw)
			if len(all) != 1 {
				t.Errorf("%s, %s: %d answers", e.path, name, len(all))
				continue
			}
			fits := false
			for _, status := range try.status {
				fits = fits || all[0].Status == status
			}
			if !fits {
				t.Errorf("%s, %s: %d %s, want %v", e.path, name, all[0].Status, all[0].Body, try.status)
			}
			if all[0].Status != 200 {
				tokenless(t, all[0])
			}
		}
		for name, raw := range map[string]string{
			"as it is": post(e.good, e.kind), "in chunks": chunked(e.good), "of 16 KiB": post(pad[e.kind](e.good, 16<<10-len(whole)), e.kind), "with a charset": post(e.good, e.kind+"; charset=UTF-8"),
			"with a type in capitals": post(e.good, strings.Replace(e.kind, "application", "Application", 1)),
		} {
			if a := w.Send(t, raw); a.Status != 200 {
				t.Errorf("%s, a good body, %s: %d %s", e.path, name, a.Status, a.Body)
			}
		}
	}
	w.up.Nothing(t)
}

// twice repeats the first parameter or member.
func twice(kind, good string) string {
	if kind == asForm {
		first, _, _ := strings.Cut(good, "&")
		return good + "&" + first
	}
	first, _, _ := strings.Cut(good[1:], ",")
	return "{" + first + "," + good[1:]
}

// A body that does not come on is given up, with an answer.
func TestA10SlowBody(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	for _, e := range takers {
		c := w.Dial(t)
		_, _ = io.WriteString(c, strings.Replace(rig.Request("POST", e.path, "{", keyLine, e.kind), "Content-Length: 1", "Content-Length: 100", 1))
		a, err := c.Read("POST")
		if err != nil || a.Status != 408 {
			t.Errorf("%s: %d %s, %v", e.path, a.Status, a.Body, err)
		}
		tokenless(t, a)
		_ = c.Close()
	}
}

// Secrets do not belong into addresses, which everybody on the way logs. A
// client's name and secret are form-encoded inside Basic.
func TestA11ClientSecrets(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	basic := func(pair string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	}
	const grant, secret = "grant_type=client_credentials", "a+secret%3A+of+100%25+%2B+backend"
	if a := w.post(t, tokenPath, grant, basic("backend:"+secret)); a.Status != 200 {
		t.Errorf("encoded by RFC 6749 §2.3.1: %d %s", a.Status, a.Body)
	}
	if a := w.post(t, tokenPath, grant, strings.Replace(basic("backend:"+secret), "Basic", "bASIC", 1)); a.Status != 200 {
		t.Errorf("with another spelling of the scheme: %d %s", a.Status, a.Body)
	}
	for name, a := range map[string]rig.Answer{
		"a bad escape":     w.post(t, tokenPath, grant, basic("backend:%zz")),
		"no colon":         w.post(t, tokenPath, grant, basic("backend")),
		"no secret":        w.post(t, tokenPath, grant, basic("backend:")),
		"another secret":   w.post(t, tokenPath, grant, basic("backend:"+secret+"x")),
		"an unknown one":   w.post(t, tokenPath, grant, basic("nobody:"+secret)),
		"the hash":         w.post(t, tokenPath, grant, basic("backend:"+rig.Hash(rig.BackendSecret))),
		"not in Base64":    w.post(t, tokenPath, grant, "Authorization: Basic *"),
		"two lines":        w.post(t, tokenPath, grant, basic("backend:"+secret), basic("backend:"+secret)),
		"a bearer instead": w.post(t, tokenPath, grant, "Authorization: Bearer "+secret),
	} {
		if a.Status != 401 && a.Status != 400 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		tokenless(t, a)
	}
	unknown, wrong := w.post(t, tokenPath, grant, basic("nobody:x")), w.post(t, tokenPath, grant, basic("backend:x"))
	if unknown.Body != wrong.Body || unknown.Status != wrong.Status {
		t.Errorf("an unknown client is answered %s, a wrong secret %s", unknown.Body, wrong.Body)
	}
	if challenge := wrong.Header.Get("WWW-Authenticate"); wrong.Status != 401 || !strings.HasPrefix(challenge, "Basic ") {
		t.Errorf("%d, WWW-Authenticate %q (RFC 6749 §5.2)", wrong.Status, challenge)
	}
	for _, row := range []struct{ path, query, body string }{
		{tokenPath, "client_secret=" + secret, grant + "&client_id=backend"},
		{tokenPath, "client_id=backend&client_secret=" + secret, grant},
		{tokenPath, "password=correct+horse", "grant_type=password&client_id=spa&username=jane"},
		{tokenPath, "refresh_token=x", "grant_type=refresh_token&client_id=spa"},
		{inspectPath, "token=x", backend[1:]},
		{"/auth/jwt/login", "password=correct+horse", "grant_type=password&username=jane"},
		{"/auth/jwt/postman-refresh", "refresh_token=x", "grant_type=refresh_token"},
		{"/oauth/token", "client_secret=the-secret-of-reporting", grant + "&client_id=reporting"},
	} {
		a := w.post(t, row.path+"?"+row.query, row.body)
		if a.Status != 400 {
			t.Errorf("%s?%s: %d %s", row.path, row.query, a.Status, a.Body)
		}
		tokenless(t, a)
	}
	for _, lost := range []string{secret, rig.BackendSecret, "correct+horse", "the-secret-of-reporting"} {
		if strings.Contains(w.Log.String(), lost) {
			t.Errorf("the log has %q", lost)
		}
	}
}

// Nobody on the way may keep an answer of a token endpoint, good or bad.
func TestA12NothingIsStored(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	check := func(what string, a rig.Answer) {
		if c, p := a.Header.Values("Cache-Control"), a.Header.Values("Pragma"); len(c) != 1 || c[0] != "no-store" || len(p) != 1 || p[0] != "no-cache" {
			t.Errorf("%s, answered %d: Cache-Control %q, Pragma %q", what, a.Status, c, p)
		}
		if cookies := a.Header.Values("Set-Cookie"); len(cookies) != 0 {
			t.Errorf("%s: Set-Cookie %q", what, cookies)
		}
	}
	for _, e := range takers {
		check(e.path, w.Send(t, rig.Request("POST", e.path, e.good, keyLine, e.kind)))
		check(e.path+" malformed", w.Send(t, rig.Request("POST", e.path, "x", keyLine, e.kind)))
		check(e.path+" by PUT", w.Send(t, rig.Request("PUT", e.path, e.good, keyLine, e.kind)))
		check(e.path+" too large", w.Send(t, rig.Request("POST", e.path, strings.Repeat("x", 17000), keyLine, e.kind)))
		check(e.path+" of another type", w.Send(t, rig.Request("POST", e.path, e.good, keyLine)))
		check(e.path+" without an API key", w.Send(t, rig.Request("POST", e.path, e.good, e.kind)))
	}
	access := w.login(t).Access
	for _, path := range []string{apiPath + "/info", "/v1/token", apiPath + "/revoke", "/v1/logout"} {
		check(path, w.get(t, path, keyLine, bearer(access)))
		check(path+" again", w.get(t, path, keyLine, bearer(access)))
		check(path+" without a token", w.get(t, path, keyLine))
	}
}

// The cookie is of no use to another site, and a refresh token is never one.
func TestA13Cookie(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", set("COOKIE", "true"),
		replace("token_service:\n", "  - {name: foreign, match: /foreign/, auth: bearer, issuers: [plain]}\ntoken_service:\n"),
		func(c *rig.Config) {
			c.YAML = strings.Replace(c.YAML, "defaults:", "  - {name: plain, issuer: https://plain.example.com, audiences: [api], keys: [{kid: k1, algorithm: ES256, private_key_file: k1.pem}]}\ndefaults:", 1)
		})
	a := w.post(t, "/auth/jwt/login", jane)
	got := granted(t, a)
	lines := a.Header.Values("Set-Cookie")
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "__Host-access="+got.Access+";") {
		t.Fatalf("Set-Cookie %q", lines)
	}
	attributes := map[string]bool{}
	for part := range strings.SplitSeq(lines[0], ";") {
		attributes[strings.ToLower(strings.TrimSpace(part))] = true
	}
	for _, name := range []string{"httponly", "secure", "samesite=strict", "path=/"} {
		if !attributes[name] {
			t.Errorf("the cookie is not %s: %s", name, lines[0])
		}
	}
	cookie := "Cookie: other=1; __Host-access=" + got.Access
	request := func(method, path string, lines ...string) int {
		return w.Send(t, rig.Request(method, path, "", append(lines, "Content-Length: 0")...)).Status
	}
	for _, row := range []struct {
		name, method, path string
		lines              []string
		want               int
	}{
		{"read", "GET", "/api/", []string{cookie}, 200},
		{"read, from another site", "GET", "/api/", []string{cookie, "Origin: https://evil.example"}, 200},
		{"write, same origin", "POST", "/api/", []string{cookie, "Origin: http://gw.example"}, 200},
		{"write, fetched by the same site's page", "POST", "/api/", []string{cookie, "Origin: http://gw.example", "Sec-Fetch-Site: same-origin"}, 200},
		{"write, from another site", "POST", "/api/", []string{cookie, "Origin: https://evil.example"}, 401},
		{"write, from a subdomain", "POST", "/api/", []string{cookie, "Origin: http://sub.gw.example"}, 401},
		{"write, from nowhere", "POST", "/api/", []string{cookie, "Origin: null"}, 401},
		{"write, fetched by another site's page", "POST", "/api/", []string{cookie, "Sec-Fetch-Site: cross-site"}, 401},
		{"write, with both", "DELETE", "/api/", []string{cookie, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, 401},
		{"a route of another issuer", "GET", "/foreign/", []string{cookie}, 401},
		{"two cookies", "GET", "/api/", []string{cookie + "; __Host-access=" + got.Access}, 401},
		{"another name", "GET", "/api/", []string{strings.Replace(cookie, "__Host-", "", 1)}, 401},
		{"a token that is no longer good", "GET", "/api/", []string{cookie + "x"}, 401},
	} {
		w.up.Take()
		if status := request(row.method, row.path, row.lines...); status != row.want && !(row.want == 401 && status == 403) {
			t.Errorf("%s: %d, want %d", row.name, status, row.want)
		}
		if row.want != 200 {
			w.up.Nothing(t)
		} else if r := w.up.Last(t); r.Header.Get("X-User-Id") != "user-123" || strings.Contains(r.Header.Get("Cookie"), "__Host-access") || r.Header.Get("Cookie") != "other=1" {
			t.Errorf("%s: the upstream is told %v", row.name, r.Header)
		}
	}
	for _, path := range []string{"/auth/jwt/refresh", "/auth/jwt/postman-refresh"} {
		if a := w.post(t, path, "grant_type=refresh_token", cookie, "Cookie: refresh-token="+got.Refresh); a.Status == 200 {
			t.Errorf("%s is content with a cookie", path)
		}
	}
}

// Who asks for the revocation of what is not his learns nothing and does
// nothing.
func TestA14RevokeTellsNothing(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url)
		own, foreign := w.login(t), granted(t, w.post(t, tokenPath, jane+backend))
		ofNobody := granted(t, w.post(t, "/auth/jwt/login", jane))
		dead := w.login(t)
		w.post(t, revokePath, "client_id=spa&token="+dead.Access)
		w.dead(t, dead.Access)
		var bodies []string
		for _, token := range []string{foreign.Access, foreign.Refresh, ofNobody.Access, ofNobody.Refresh, dead.Access, dead.Refresh, "x", "a.b.c", own.Access + "x", strings.Repeat("A", 91)} {
			for _, hint := range []string{"", "&token_type_hint=access_token", "&token_type_hint=refresh_token"} {
				a := w.post(t, revokePath, "client_id=spa&token="+token+hint)
				bodies = append(bodies, fmt.Sprint(a.Status, a.Body))
			}
		}
		for _, body := range bodies {
			if body != bodies[0] || !strings.HasPrefix(body, "200") {
				t.Errorf("one is answered %q, another %q", bodies[0], body)
			}
		}
		for _, got := range []tokens{own, foreign, ofNobody} {
			w.alive(t, got.Access)
		}
		granted(t, w.post(t, tokenPath, "grant_type=refresh_token&refresh_token="+foreign.Refresh+backend))
		granted(t, w.post(t, "/auth/jwt/refresh", "", "refresh-token: "+ofNobody.Refresh))
		granted(t, w.refresh(t, own.Refresh))
	})
}
