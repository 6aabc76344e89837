package contract

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// row is a condition under which a request is refused.
type row struct {
	name, raw  string
	status     int
	code       string
	challenges []string
	header     http.Header // further header fields that the answer must have
	reaches    bool        // the upstream was asked
}

const post = "POST /open/ HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n"

// challenge is that of a token which was presented.
func challenge(kind, description string) []string {
	return []string{`Bearer error="` + kind + `", error_description="` + description + `"`}
}

func keyRows(t *testing.T) []row {
	tok := bearer(token(t, nil))
	both, alone := []string{`ApiKey header="Api-Key"`, "Bearer"}, []string{`ApiKey header="Api-Key"`}
	return []row{
		{name: "key absent", raw: rig.Get("/plain/", tok), status: 401, code: "api_key_missing", challenges: both},
		{name: "key absent where it is enough", raw: rig.Get("/key/"), status: 401, code: "api_key_missing", challenges: alone},
		{name: "key unknown", raw: rig.Get("/plain/", "Api-Key: gh_nobody", tok), status: 401, code: "api_key_invalid", challenges: both},
		{name: "key expired", raw: rig.Get("/plain/", "Api-Key: "+endedKey, tok), status: 401, code: "api_key_invalid", challenges: both},
		{name: "key revoked", raw: rig.Get("/plain/", "Api-Key: "+lostKey, tok), status: 401, code: "api_key_invalid", challenges: both},
		{name: "key for another route", raw: rig.Get("/plain/", "Api-Key: "+ordersKey, tok), status: 403, code: "api_key_forbidden"},
	}
}

func tokenRows(t *testing.T) []row {
	now := time.Now().Unix()
	invalid := func(description string) []string { return challenge("invalid_token", description) }
	malformed, untrusted := invalid("The bearer token is malformed"), invalid("The bearer token is not signed by a trusted key")
	with := func(path string, changes map[string]any) string {
		return rig.Get(path, keyLine, bearer(token(t, changes)))
	}
	good := token(t, nil)
	return []row{
		{name: "token absent", raw: rig.Get("/plain/", keyLine), status: 401, code: "token_missing", challenges: []string{"Bearer"}},
		{name: "token of another scheme", raw: rig.Get("/plain/", keyLine, "Authorization: Basic dTpw"), status: 401, code: "token_missing", challenges: []string{"Bearer"}},
		{name: "either absent", raw: rig.Get("/any/"), status: 401, code: "token_missing", challenges: []string{"Bearer", `ApiKey header="Api-Key"`}},
		{name: "bytes outside the alphabet", raw: rig.Get("/plain/", keyLine, bearer(good+"=")), status: 401, code: "token_malformed", challenges: malformed},
		{name: "not three parts", raw: rig.Get("/plain/", keyLine, bearer("a.b")), status: 401, code: "token_malformed", challenges: malformed},
		{name: "too long", raw: with("/plain/", map[string]any{"pad": strings.Repeat("x", 4096)}), status: 401, code: "token_malformed", challenges: malformed},
		{name: "not a JWS", raw: rig.Get("/plain/", keyLine, bearer("a.b.c")), status: 401, code: "token_malformed", challenges: malformed},
		{name: "two Authorization lines", raw: rig.Get("/plain/", keyLine, bearer(good), bearer(good)), status: 401, code: "token_malformed", challenges: malformed},
		{name: "unknown issuer", raw: with("/plain/", map[string]any{"iss": "https://other.example.com"}), status: 401, code: "token_untrusted", challenges: untrusted},
		{name: "bad signature", raw: rig.Get("/plain/", keyLine, bearer(forge(good))), status: 401, code: "token_untrusted", challenges: untrusted},
		{name: "expired", raw: with("/plain/", map[string]any{"exp": now - 60, "iat": now - 120}), status: 401, code: "token_expired", challenges: invalid("The bearer token has expired")},
		{name: "not yet valid", raw: with("/plain/", map[string]any{"nbf": now + 60}), status: 401, code: "token_not_yet_valid", challenges: invalid("The bearer token is not valid yet")},
		{name: "wrong audience", raw: with("/plain/", map[string]any{"aud": "other"}), status: 401, code: "token_audience", challenges: invalid("The bearer token is meant for another audience")},
		{name: "required claim missing", raw: with("/plain/", map[string]any{"sub": nil}), status: 401, code: "token_claims", challenges: invalid("A claim of the bearer token is missing or unusable")},
		{name: "life too long", raw: with("/plain/", map[string]any{"exp": now + 48*3600}), status: 401, code: "token_claims", challenges: invalid("A claim of the bearer token is missing or unusable")},
		{name: "revoked", raw: with("/plain/", map[string]any{"sid": "ended"}), status: 401, code: "token_revoked", challenges: invalid("The credential has been revoked")},
		{
			name: "scope not met", raw: with("/scoped/", map[string]any{"scope": "orders:read"}), status: 403, code: "scope_insufficient",
			challenges: []string{`Bearer error="insufficient_scope", error_description="The bearer token lacks a scope", scope="orders:read orders:write"`},
		},
		{name: "claim rule not met", raw: with("/ruled/", map[string]any{"roles": []string{"user"}}), status: 403, code: "claim_forbidden", challenges: challenge("insufficient_scope", "A claim of the bearer token does not permit this")},
		{name: "presented where it is optional", raw: rig.Get("/any/", keyLine, bearer("a.b")), status: 401, code: "token_malformed", challenges: malformed},
	}
}

func requestRows() []row {
	return []row{
		{name: "no route", raw: rig.Get("/nothing"), status: 404, code: "route_not_found"},
		{name: "malformed path", raw: rig.Get("/open/%2e%2e/plain/"), status: 400, code: "request_malformed"},
		{name: "malformed header name", raw: rig.Get("/open/", "X_User_Id: root"), status: 400, code: "request_malformed"},
		{name: "malformed request", raw: "GET /open/ HTTP/1.1\r\n\r\n", status: 400, code: "request_malformed"},
		{name: "malformed body", raw: post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", status: 400, code: "request_malformed", reaches: true},
		{name: "unsupported framing", raw: post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", status: 501, code: "request_malformed"},
		{name: "unsupported version", raw: "GET /open/ HTTP/3.0\r\nHost: gw.example\r\n\r\n", status: 505, code: "request_malformed"},
		{name: "target too long", raw: rig.Get("/open/?" + strings.Repeat("a", 8<<10+1)), status: 414, code: "request_malformed"},
		{name: "method not allowed", raw: rig.Get("/posted/"), status: 405, code: "method_not_allowed", header: http.Header{"Allow": {"POST"}}},
		{name: "unknown method", raw: rig.Request("PROPFIND", "/open/", ""), status: 405, code: "method_not_allowed", header: http.Header{"Allow": {"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}}},
		{name: "CONNECT", raw: "CONNECT gw.example:443 HTTP/1.1\r\nHost: gw.example:443\r\n\r\n", status: 405, code: "method_not_allowed", header: http.Header{"Allow": {"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}}},
		{name: "head not complete in time", raw: "GET /open/ HTTP/1.1\r\n", status: 408, code: "request_timeout"},
		{name: "body not complete in time", raw: post + "Content-Length: 10\r\n\r\nabc", status: 408, code: "request_timeout", reaches: true},
		{name: "header too large", raw: rig.Get("/open/", "A: "+strings.Repeat("b", 32<<10)), status: 431, code: "request_too_large"},
		{name: "too many header lines", raw: rig.Get("/open/", slices.Repeat([]string{"A: b"}, 100)...), status: 431, code: "request_too_large"},
		{name: "body too large", raw: rig.Request("POST", "/open/", strings.Repeat("x", 1025)), status: 413, code: "request_too_large"},
		{name: "chunked body too large", raw: post + "Transfer-Encoding: chunked\r\n\r\n401\r\n" + strings.Repeat("x", 1025) + "\r\n0\r\n\r\n", status: 413, code: "request_too_large", reaches: true},
		{name: "upstream refuses", raw: rig.Get("/down/"), status: 502, code: "upstream_unavailable"},
		{name: "upstream too slow", raw: rig.Get("/slow/"), status: 504, code: "upstream_timeout", reaches: true},
	}
}

// Each row of the contract's table: the status, the code, and all else that
// such an answer has. No row has rate_limited or keys_unavailable: nothing
// limits rates, and keys from files are there from the start. store_unavailable
// is the admin API's.
func TestWhatARequestMeets(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url, nil)
		w.up.Handle(t, func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if strings.HasPrefix(r.URL.Path, "/slow/") {
				<-r.Context().Done()
			}
		})
		w.revoke(t, `{"kind":"api_key","id":"lost"}`)
		w.revoke(t, `{"kind":"sid","id":"ended"}`)
		w.eventually(t, rig.Get("/key/", "Api-Key: "+lostKey), 401)
		w.eventually(t, rig.Get("/bearer/", bearer(token(t, map[string]any{"sid": "ended"}))), 401)
		w.up.Take()
		ids := map[string]bool{}
		for _, row := range slices.Concat(keyRows(t), tokenRows(t), requestRows()) {
			t.Run(row.name, func(t *testing.T) {
				a := w.Send(t, row.raw)
				a.Refused(t, row.status, row.code)
				if got := a.Header.Values("Www-Authenticate"); !slices.Equal(got, row.challenges) {
					t.Errorf("WWW-Authenticate is %q, want %q", got, row.challenges)
				}
				for name, want := range row.header {
					if got := a.Header.Values(name); !slices.Equal(got, want) {
						t.Errorf("%s is %q, want %q", name, got, want)
					}
				}
				if row.reaches {
					rig.Eventually(t, "received by the upstream", func() bool { return len(w.up.Take()) > 0 })
				}
				w.up.Nothing(t)
				id := a.Header.Get("X-Request-Id")
				if ids[id] || len(id) < 16 {
					t.Errorf("X-Request-Id %q is not new", id)
				}
				ids[id] = true
				line, _ := w.Log.Access(t, a)
				if line["reason"] != row.code || line["status"] != float64(row.status) {
					t.Errorf("logged as %v %v", line["status"], line["reason"])
				}
			})
		}
	})
}

// Of several things that are wrong the first in the contract's order is told.
func TestOrder(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	w.revoke(t, `{"kind":"sid","id":"ended"}`)
	w.revoke(t, `{"kind":"api_key","id":"orders-only"}`)
	ended := bearer(token(t, map[string]any{"sid": "ended"}))
	w.eventually(t, rig.Get("/bearer/", ended), 401)
	w.eventually(t, rig.Get("/key/", "Api-Key: "+ordersKey), 401)
	w.up.Take()
	large := strings.Repeat("x", 2000)
	for _, row := range []row{
		{name: "path before route", raw: rig.Get("/nothing/../"), status: 400, code: "request_malformed"},
		{name: "route before credentials", raw: rig.Get("/nothing", "Api-Key: wrong"), status: 404, code: "route_not_found"},
		{name: "key before token", raw: rig.Get("/plain/", bearer("x")), status: 401, code: "api_key_missing"},
		{name: "token before the key's revocation", raw: rig.Get("/plain/", "Api-Key: "+ordersKey, bearer("x")), status: 401, code: "token_malformed"},
		{name: "key's revocation before its routes", raw: rig.Get("/plain/", "Api-Key: "+ordersKey, bearer(token(t, nil))), status: 401, code: "api_key_invalid"},
		{name: "revocation before scopes", raw: rig.Get("/scoped/", keyLine, ended), status: 401, code: "token_revoked"},
		{name: "scopes before limits", raw: rig.Request("POST", "/scoped/", large, keyLine, bearer(token(t, nil))), status: 403, code: "scope_insufficient"},
		{name: "limits before the upstream", raw: rig.Request("POST", "/down/", large), status: 413, code: "request_too_large"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w.Send(t, row.raw).Refused(t, row.status, row.code)
			w.up.Nothing(t)
		})
	}
}

// A request ID is the client's when a trusted proxy passes it on.
func TestRequestID(t *testing.T) {
	t.Parallel()
	trusting := start(t, "memory:", func(c *rig.Config) {
		c.YAML = strings.Replace(c.YAML, "drain_timeout: 5s", "drain_timeout: 5s, trusted_proxies: [127.0.0.0/8]", 1)
	})
	untrusting := start(t, "memory:", nil)
	for id, kept := range map[string]bool{
		"a": true, "Req-1.2_3": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "a b": false, "a/b": false, "": false, "a~b": false, "ä": false,
	} {
		for _, w := range []*world{trusting, untrusting} {
			for _, target := range []string{"/open/", "/nothing"} {
				a := w.Send(t, rig.Get(target, "X-Request-Id: "+id))
				got := a.Header.Values("X-Request-Id")
				if len(got) != 1 || got[0] == "" || (got[0] == id) != (kept && w == trusting) {
					t.Errorf("%.20q: %.20q", id, got)
				}
				if seen := w.up.Take(); len(seen) > 0 && seen[0].Header.Get("X-Request-Id") != got[0] {
					t.Errorf("the upstream was told %q", seen[0].Header.Values("X-Request-Id"))
				}
			}
		}
	}
	two := trusting.Send(t, rig.Get("/open/", "X-Request-Id: a", "X-Request-Id: b"))
	if id := two.Header.Get("X-Request-Id"); id == "a" || id == "b" {
		t.Errorf("of two ids %q was taken", id)
	}
}
