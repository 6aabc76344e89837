package admin

import (
	"net/http/httptest"
	"testing"
)

func TestHostAllowed(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:9090": true, "127.0.0.1": true, "[::1]:9090": true, "[::1]": true, "10.1.2.3:9090": true,
		"localhost:9090": true, "LOCALHOST": true, "gatehouse:9090": true, "gatehouse": true, "a.localhost": true,
		"gatehouse.prod.svc": true, "gatehouse.prod.svc:9090": true, "gw.local.": true, "vm.internal:9090": true,
		"gw1.example.com:9090": true, "GW1.example.com": true,
		"gatehouse.prod.svc.cluster.local:9090": true,
		"":                                      false, ":9090": false, ".": false, "evil.example": false, "evil.example:9090": false, "127.0.0.1.nip.io": false,
		"svc.evil.example": false, "gatehouse.svc.evil.example": false, "evillocal.com": false, "gw1.example.com.evil.example": false, "xgw1.example.com": false,
	} {
		if got := hostAllowed(host, []string{"gw1.example.com"}); got != want {
			t.Errorf("host %q: %v, want %v", host, got, want)
		}
	}
}

func TestM02RebindingAndCrossSiteRequests(t *testing.T) {
	f := newFake()
	wantProblem(t, f.call(t, "GET", "/v1/status", "", "Host", "evil.example:9090"), 403, "host_forbidden")
	for _, target := range []string{"/livez", "/readyz", "/metrics"} { // scraped by whatever name
		if w := f.call(t, "GET", target, "", "Host", "metrics.example.com:9090"); w.Code != 200 {
			t.Errorf("%s by another name: %d", target, w.Code)
		}
	}
	for name, headers := range map[string][]string{
		"another origin": {"Origin", "http://evil.example"},
		"null origin":    {"Origin", "null"},
		"cross-site":     {"Sec-Fetch-Site", "cross-site"},
		"same-site":      {"Sec-Fetch-Site", "same-site"},
	} {
		for _, target := range []string{"/v1/reload", "/v1/revocations"} {
			w := f.call(t, "POST", target, `{"kind":"jti","id":"a"}`, headers...)
			if w.Code != 403 {
				t.Errorf("%s: POST %s is %d", name, target, w.Code)
			}
		}
	}
	if f.reloads != 0 || len(f.revoked) != 0 {
		t.Errorf("something was done: %d reloads, %v revoked", f.reloads, f.revoked)
	}
	if w := f.call(t, "POST", "/v1/reload", "", "Origin", "http://127.0.0.1:9090"); w.Code != 200 {
		t.Errorf("the same origin is refused: %d %s", w.Code, w.Body)
	}
}

func TestM02NothingIsChangedByGet(t *testing.T) {
	f := newFake()
	for _, target := range []string{"/v1/reload", "/v1/revocations?kind=jti&id=a", "/v1/keys?id=a", "/v1/keys/web-app", "/v1/explain"} {
		for _, method := range []string{"GET", "HEAD"} {
			f.call(t, method, target, "")
		}
	}
	if f.reloads != 0 || len(f.revoked) != 0 || len(f.stored) != 0 || f.explained != nil {
		t.Errorf("changed by GET: %+v", f)
	}
}

func TestAdminToken(t *testing.T) {
	for name, tt := range map[string]struct {
		configured, header string
		status             int
		code               string
	}{
		"right":               {adminToken, "Bearer " + adminToken, 200, ""},
		"scheme in any case":  {adminToken, "bEARER  " + adminToken, 200, ""},
		"absent":              {adminToken, "", 401, "admin_token_invalid"},
		"wrong":               {adminToken, "Bearer x" + adminToken[1:], 401, "admin_token_invalid"},
		"truncated":           {adminToken, "Bearer " + adminToken[:len(adminToken)-1], 401, "admin_token_invalid"},
		"longer":              {adminToken, "Bearer " + adminToken + "x", 401, "admin_token_invalid"},
		"trailing space":      {adminToken, "Bearer " + adminToken + " ", 401, "admin_token_invalid"},
		"no scheme":           {adminToken, adminToken, 401, "admin_token_invalid"},
		"another scheme":      {adminToken, "Basic " + adminToken, 401, "admin_token_invalid"},
		"empty token":         {adminToken, "Bearer ", 401, "admin_token_invalid"},
		"off":                 {"", "Bearer " + adminToken, 404, "not_found"},
		"off, and none given": {"", "", 404, "not_found"},
		"off, and an empty":   {"", "Bearer ", 404, "not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.token = tt.configured
			for _, target := range []string{"/v1/status", "/v1/nothing"} {
				w := f.call(t, "GET", target, "", "Authorization", tt.header)
				if tt.status == 200 {
					if target == "/v1/status" && w.Code != 200 {
						t.Errorf("%d %s", w.Code, w.Body)
					}
					continue
				}
				wantProblem(t, w, tt.status, tt.code)
				if challenged := w.Header().Get("WWW-Authenticate") != ""; challenged != (tt.status == 401) {
					t.Errorf("%d with WWW-Authenticate: %v", w.Code, challenged)
				}
			}
		})
	}
}

func TestAdminTokenTwice(t *testing.T) {
	h, err := New(newFake().config())
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "http://127.0.0.1/v1/status", nil)
	r.Header["Authorization"] = []string{"Bearer " + adminToken, "Bearer " + adminToken}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	wantProblem(t, w, 401, "admin_token_invalid")
}
