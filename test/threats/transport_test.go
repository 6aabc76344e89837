package threats

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

func TestT01T02SeveralTokens(t *testing.T) {
	w := attack(t)
	a, b := token(t, nil), token(t, map[string]any{"sub": "bob"})
	w.refused(t,
		try{"two lines", rig.Get("/orders/", keyLine, bearer(a), bearer(b)), 401, "token_malformed"},
		try{"two equal lines", rig.Get("/orders/", keyLine, bearer(a), bearer(a)), 401, "token_malformed"},
		try{"in other case", rig.Get("/orders/", keyLine, bearer(a), "authorization: Bearer "+b), 401, "token_malformed"},
		try{"the second of another scheme", rig.Get("/orders/", keyLine, bearer(a), "Authorization: Basic dTpw"), 401, "token_malformed"},
		try{"an empty line", rig.Get("/orders/", keyLine, bearer(a), "Authorization:"), 401, "token_malformed"},
		try{"comma and scheme", rig.Get("/orders/", keyLine, bearer(a+", Bearer "+b)), 401, "token_malformed"},
		try{"comma", rig.Get("/orders/", keyLine, bearer(a+","+b)), 401, "token_malformed"},
		try{"space", rig.Get("/orders/", keyLine, bearer(a+" "+b)), 401, "token_malformed"},
	)
}

func TestT03T04Scheme(t *testing.T) {
	w := attack(t)
	tok := token(t, nil)
	for _, scheme := range []string{"bearer ", "BEARER ", "BeArEr ", "Bearer  ", "Bearer       "} {
		if a := w.Send(t, rig.Get("/orders/", keyLine, "Authorization: "+scheme+tok)); a.Status != 200 {
			t.Errorf("%q: %d", scheme, a.Status)
		}
	}
	w.up.Take()
	var all []try
	for value, code := range map[string]string{
		tok: "token_missing", "Token " + tok: "token_missing", "Basic " + tok: "token_missing", "Bearer" + tok: "token_missing", "JWT " + tok: "token_missing",
		"": "token_missing", "Bearer": "token_malformed", "Bearer ": "token_malformed", "Bearer\t" + tok: "token_malformed", "Bearer:" + tok: "token_malformed",
		"Bearer =" + tok: "token_malformed", "Bearer \t" + tok: "token_malformed", "Bearer \xc2\xa0" + tok: "token_malformed", "Bearer\xc2\xa0" + tok: "token_malformed",
		"Bearer x": "token_malformed", "Bearer " + tok + " x": "token_malformed", "Bearer Bearer " + tok: "token_malformed", "Bearer token=" + tok: "token_malformed",
	} {
		all = append(all, try{fmt.Sprintf("%.20q", value), rig.Get("/orders/", keyLine, "Authorization: "+value), 401, code})
	}
	w.refused(t, all...)
}

func TestT05T06T11OtherSources(t *testing.T) {
	w := attack(t)
	tok := token(t, nil)
	form := "access_token=" + tok + "&api_key=" + apiKey
	multipart := "--b\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\n" + tok + "\r\n--b--\r\n"
	w.refused(t,
		try{"query", rig.Get("/orders/?access_token="+tok, keyLine), 401, "token_missing"},
		try{"key in the query", rig.Get("/orders/?api_key="+apiKey+"&Api-Key="+apiKey, bearer(tok)), 401, "api_key_missing"},
		try{"form", rig.Request("POST", "/orders/", form, keyLine, "Content-Type: application/x-www-form-urlencoded"), 401, "token_missing"},
		try{"multipart", rig.Request("POST", "/orders/", multipart, keyLine, "Content-Type: multipart/form-data; boundary=b"), 401, "token_missing"},
		try{"cookie", rig.Get("/orders/", keyLine, "Cookie: access_token="+tok+"; Authorization=Bearer "+tok), 401, "token_missing"},
		try{"websocket protocol", rig.Get("/ws/", "Sec-WebSocket-Protocol: bearer, "+tok), 401, "token_missing"},
		try{"proxy authorization", rig.Get("/orders/", keyLine, "Proxy-Authorization: Bearer "+tok), 401, "token_missing"},
		try{"forwarded authorization", rig.Get("/orders/", keyLine, "X-Forwarded-Authorization: Bearer "+tok), 401, "token_missing"},
		try{"other names of the key", rig.Get("/orders/", bearer(tok), "X-Api-Key: "+apiKey, "ApiKey: "+apiKey), 401, "api_key_missing"},
	)
	if strings.Contains(w.Log.String(), tok) || strings.Contains(w.Log.String(), apiKey) {
		t.Error("a credential of the query is in the log")
	}
}

func TestT07T14NoFallback(t *testing.T) {
	w := attack(t)
	good, bad := bearer(token(t, nil)), bearer(token(t, map[string]any{"exp": time.Now().Unix() - 100}))
	w.refused(t,
		try{"good key, bad token", rig.Get("/any/", keyLine, bad), 401, "token_expired"},
		try{"bad key, good token", rig.Get("/any/", "Api-Key: wrong", good), 401, "api_key_invalid"},
		try{"bad key alone", rig.Get("/any/", "Api-Key: wrong"), 401, "api_key_invalid"},
		try{"bad token alone", rig.Get("/any/", bearer("x.y.z")), 401, "token_malformed"},
		try{"neither", rig.Get("/any/"), 401, "token_missing"},
	)
	for _, lines := range [][]string{{keyLine}, {good}, {keyLine, good}} {
		if a := w.Send(t, rig.Get("/any/", lines...)); a.Status != 200 {
			t.Errorf("%d", a.Status)
		}
	}
}

func TestT08Trailers(t *testing.T) {
	w := attack(t)
	chunked := "POST /open/ HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization, X-User-Id, Api-Key\r\n\r\n" +
		"1\r\nx\r\n0\r\nAuthorization: Bearer " + token(t, nil) + "\r\nX-User-Id: root\r\nApi-Key: " + apiKey + "\r\n\r\n"
	if a := w.Send(t, chunked); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if r := w.up.Last(t); r.Body != "x" || len(r.Trailer) > 0 || r.Header.Get("Trailer") != "" || r.Header.Get("X-User-Id") != "" {
		t.Errorf("%q, header %v, trailer %v", r.Body, r.Header, r.Trailer)
	}
	w.refused(t, try{"credentials in a trailer", strings.Replace(chunked, "/open/", "/orders/", 1), 401, "api_key_missing"})
}

func TestT09T10Preflight(t *testing.T) {
	w := attack(t)
	w.refused(t,
		try{"preflight", rig.Request("OPTIONS", "/orders/", "", "Origin: https://evil.example", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"), 401, "api_key_missing"},
		try{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: gw.example\r\n\r\n", 405, "method_not_allowed"},
		try{"PRI", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "request_malformed"},
		try{"PRI on HTTP/1.1", "PRI * HTTP/1.1\r\nHost: gw.example\r\n\r\n", 400, "request_malformed"},
		try{"GET *", "GET * HTTP/1.1\r\nHost: gw.example\r\n\r\n", 400, "request_malformed"},
	)
}

func TestT12CredentialsStayHere(t *testing.T) {
	w := attack(t)
	tok := token(t, nil)
	for _, path := range []string{"/orders/", "/both/", "/open/", "/any/", "/api/v1/x"} {
		w.Send(t, rig.Get(path, keyLine, bearer(tok), "Proxy-Authorization: Basic dTpw"))
		r := w.up.Last(t)
		for name, values := range r.Header {
			if text := fmt.Sprint(values); strings.Contains(text, apiKey) || strings.Contains(text, tok) || strings.Contains(text, "dTpw") {
				t.Errorf("%s: the upstream got the credential in %s", path, name)
			}
		}
	}
}

func TestT13ProbesAndUserAgents(t *testing.T) {
	w := attack(t)
	var all []try
	for _, agent := range []string{"kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Prometheus/3.0"} {
		all = append(all, try{agent, rig.Get("/orders/", "User-Agent: "+agent), 401, "api_key_missing"})
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/healthz", "/ping", "/v1/status", "/debug/pprof/", "/orders", "/"} {
		status, code := 404, "route_not_found"
		if path == "/orders" {
			status, code = 401, "api_key_missing"
		}
		all = append(all, try{path, rig.Get(path), status, code})
	}
	w.refused(t, all...)
}

func TestK03K04ExactKey(t *testing.T) {
	w := attack(t)
	tok := bearer(token(t, nil))
	var all []try
	for _, key := range []string{
		apiKey[:len(apiKey)-1], apiKey + "x", strings.ToUpper(apiKey), apiKey[1:], "Bearer " + apiKey, rig.Hash(apiKey), `"` + apiKey + `"`,
		apiKey + "\xc2\xa0", strings.Replace(apiKey, "a", "\xc3\xa1", 1), strings.Repeat("k", 20000), apiKey + "," + apiKey, "*", "%67h_" + apiKey[3:],
	} {
		all = append(all, try{fmt.Sprintf("%.30q", key), rig.Get("/orders/", "Api-Key: "+key, tok), 401, "api_key_invalid"})
	}
	all = append(all,
		try{"NUL", rig.Get("/orders/", "Api-Key: "+apiKey+"\x00", tok), 400, "request_malformed"},
		try{"empty", rig.Get("/orders/", "Api-Key:", tok), 401, "api_key_missing"},
		try{"blank", rig.Get("/orders/", "Api-Key:   ", tok), 401, "api_key_missing"},
	)
	w.refused(t, all...)
	if a := w.Send(t, rig.Get("/orders/", "aPI-kEY:\t "+apiKey+" \t", tok)); a.Status != 200 {
		t.Errorf("white space around the value, another case of the name: %d", a.Status)
	}
}

func TestK08K09KeyEndsAndRoutes(t *testing.T) {
	w := attack(t)
	tok := bearer(token(t, nil))
	w.refused(t,
		try{"expired", rig.Get("/orders/", "Api-Key: "+endedKey, tok), 401, "api_key_invalid"},
		try{"another route", rig.Get("/both/", "Api-Key: "+ordersKey, tok), 403, "api_key_forbidden"},
		try{"another route without token", rig.Get("/key/", "Api-Key: "+ordersKey), 403, "api_key_forbidden"},
	)
	if a := w.Send(t, rig.Get("/orders/", "Api-Key: "+ordersKey, tok)); a.Status != 200 {
		t.Errorf("its own route: %d", a.Status)
	}
}

func TestK10AliasesOfTheKey(t *testing.T) {
	w := attack(t)
	tok := bearer(token(t, nil))
	w.refused(t,
		try{"two lines", rig.Get("/orders/", keyLine, "Api-Key: "+ordersKey, tok), 401, "api_key_invalid"},
		try{"two equal lines", rig.Get("/orders/", keyLine, keyLine, tok), 401, "api_key_invalid"},
		try{"list", rig.Get("/orders/", keyLine+", "+ordersKey, tok), 401, "api_key_invalid"},
		try{"underscore", rig.Get("/orders/", "Api_Key: "+apiKey, tok), 400, "request_malformed"},
		try{"dot", rig.Get("/orders/", "Api.Key: "+apiKey, tok), 400, "request_malformed"},
		try{"near name", rig.Get("/orders/", "Api--Key: "+apiKey, tok), 401, "api_key_missing"},
	)
	w.Send(t, rig.Get("/open/", "Api--Key: "+apiKey, "Api-Key-: "+apiKey, "A-Pi-Key: "+apiKey))
	for name, values := range w.up.Last(t).Header {
		if strings.Contains(fmt.Sprint(values), apiKey) {
			t.Errorf("the key went upstream as %s", name)
		}
	}
}

// A request whose body is not read is answered, and ends its connection or
// leaves it in order.
func TestD01D05Bodies(t *testing.T) {
	t.Parallel()
	w := own(t, nil)
	big := strings.Repeat("x", 1025)
	w.refused(t,
		try{"too large by its length", rig.Request("POST", "/open/", big), 413, "request_too_large"},
		try{"too large without token", rig.Request("POST", "/orders/", big), 401, "api_key_missing"},
	)
	slow := w.Dial(t)
	_, _ = io.WriteString(slow, "GET /open/ HTTP/1.1\r\nHost: gw")
	silent := w.Dial(t)
	for name, c := range map[string]*rig.Conn{"slow": slow, "silent": silent} {
		start := time.Now()
		a, err := c.Read("GET")
		if name == "slow" && (err != nil || a.Status != 408) {
			t.Errorf("a head that does not come: %d %v", a.Status, err)
		}
		if time.Since(start) > 8*time.Second {
			t.Errorf("%s: ended after %s", name, time.Since(start))
		}
	}
}
