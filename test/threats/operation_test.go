package threats

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

func TestM01M04OneListenerEach(t *testing.T) {
	w := attack(t)
	w.refused(t,
		try{"metrics on the data listener", rig.Get("/metrics"), 404, "route_not_found"},
		try{"admin API on the data listener", rig.Get("/v1/status", "Authorization: Bearer "+rig.AdminToken), 404, "route_not_found"},
		try{"probe on the data listener", rig.Get("/readyz"), 404, "route_not_found"},
	)
	for path, want := range map[string]int{
		"/livez": 200, "/readyz": 200, "/metrics": 200, "/v1/status": 401, "/v1/revocations": 401, "/v1/keys": 401, "/v1/routes": 401,
		"/debug/pprof/": 404, "/debug/vars": 404, "/orders/": 404, "/": 404,
	} {
		if a := w.AdminRaw(t, rig.Get(path)); a.Status != want {
			t.Errorf("%s on the admin listener without token: %d, want %d", path, a.Status, want)
		}
	}
}

func TestM02RebindingAndCrossSite(t *testing.T) {
	w := attack(t)
	authorized := "Authorization: Bearer " + rig.AdminToken
	body := `{"kind":"sid","id":"m02","issuer":"main"}`
	for name, raw := range map[string]string{
		"another host": strings.Replace(rig.Request("POST", "/v1/revocations", body, authorized, "Content-Type: application/json"), "gw.example", "evil.example", 1),
		"origin":       rig.Request("POST", "/v1/revocations", body, authorized, "Content-Type: application/json", "Origin: https://evil.example"),
		"fetch site":   rig.Request("POST", "/v1/revocations", body, authorized, "Content-Type: application/json", "Sec-Fetch-Site: cross-site"),
		"get":          rig.Get("/v1/reload", authorized),
		"no token":     rig.Request("POST", "/v1/revocations", body, "Content-Type: application/json"),
		"other token":  rig.Request("POST", "/v1/revocations", body, "Content-Type: application/json", authorized+"x"),
		"token in url": rig.Request("POST", "/v1/revocations?token="+strings.ReplaceAll(rig.AdminToken, " ", "+"), body, "Content-Type: application/json"),
		"two tokens":   rig.Request("POST", "/v1/revocations", body, "Content-Type: application/json", authorized, authorized),
	} {
		if a := w.AdminRaw(t, raw); a.Status < 400 || a.Status >= 500 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if a := w.AdminCall(t, "GET", "/v1/revocations", ""); strings.Contains(a.Body, "m02") {
		t.Errorf("revoked all the same: %s", a.Body)
	}
}

func TestM03Labels(t *testing.T) {
	w := attack(t)
	const mark = "m03mark"
	for _, raw := range []string{
		rig.Request(strings.ToUpper(mark[:1])+"MARK", "/open/", ""), rig.Get("/" + mark), rig.Get("/open/" + mark), rig.Get("/orders/", "Api-Key: "+mark),
		rig.Get("/orders/", keyLine, bearer(token(t, map[string]any{"sub": mark, "jti": mark, "iss": mark}))), rig.Get("/open/", "X-Request-Id: "+mark),
		rig.Get("/orders/", keyLine, bearer(token(t, map[string]any{"sub": mark}))), strings.Replace(rig.Get("/open/"), "gw.example", mark, 1),
	} {
		w.Send(t, raw)
	}
	w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(777) })
	w.Send(t, rig.Get("/open/"))
	metrics := w.AdminCall(t, "GET", "/metrics", "").Body
	if strings.Contains(strings.ToLower(metrics), mark) || strings.Contains(metrics, `status="777"`) || strings.Contains(metrics, "MMARK") {
		t.Error("a label holds what a request brought")
	}
	if !strings.Contains(metrics, `gatehouse_requests_total{method="GET",route="open",status="200"}`) {
		t.Errorf("no requests are counted:\n%s", metrics)
	}
}

func TestG01LogInjection(t *testing.T) {
	w := attack(t)
	sent := []string{
		rig.Get("/open/%0a%7B%22msg%22:%22forged%22%7D"), rig.Get(`/open/"},{"msg":"forged"}`), rig.Get("/orders/", keyLine, bearer(token(t, map[string]any{"sub": `","msg":"forged`}))),
		rig.Get("/orders/", keyLine, bearer(token(t, map[string]any{"jti": "\x1b[31m\u009b31m" + `","msg":"forged`}))), rig.Get("/open/", "X-Request-Id: forged\"}"),
		strings.Replace(rig.Get("/open/"), "gw.example", "forged\x1b[0m", 1), rig.Get("/open/" + strings.Repeat("x", 10000)),
	}
	for _, raw := range sent {
		a := w.Send(t, raw)
		line, text := w.Log.Access(t, a)
		if strings.ContainsAny(text, "\x1b\r") || strings.Contains(text, "\u009b") || len(text) > 8<<10 {
			t.Errorf("%.60q: %.200q", raw, text)
		}
		if line["msg"] != "request" {
			t.Errorf("%.60q: msg %v", raw, line["msg"])
		}
	}
	if strings.Contains(w.Log.String(), `"msg":"forged`) {
		t.Error("a line was forged")
	}
}

func TestG02K07NothingSecretIsLogged(t *testing.T) {
	w := attack(t)
	tok, unknown := token(t, nil), "gh_an-unknown-key-that-is-a-secret-elsewhere"
	const password = "pa55word-in-a-query"
	w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Set-Cookie", "session=c00kie-of-the-upstream")
		rw.WriteHeader(200)
	})
	var renewed string
	for _, raw := range []string{
		rig.Get("/orders/?password="+password, keyLine, bearer(tok), "Cookie: session=c00kie-of-the-client"),
		rig.Get("/orders/?password="+password, "Api-Key: "+unknown, bearer(tok)),
		rig.Get("/orders/", keyLine, bearer(tok+"x")), rig.Get("/orders/", keyLine, bearer(tok), bearer(tok)),
		rig.Get("/open//?password="+password, keyLine, bearer(tok), "X_Y: "+password),
		rig.Get("/open/#"+password, keyLine), rig.Get("/open/", "A: "+password+"\x00"), "GET /open/" + password + "\x01 HTTP/1.1\r\n\r\n",
	} {
		a := w.Send(t, raw)
		w.Log.Access(t, a)
		if renewed == "" {
			renewed = a.Token()
		}
	}
	if renewed == "" {
		t.Fatal("not renewed")
	}
	for _, text := range []string{tok, strings.Split(tok, ".")[2], renewed, apiKey, unknown, password, "c00kie", rig.Hash(apiKey), secret, rig.AdminToken} {
		if strings.Contains(w.Log.String(), text) {
			t.Errorf("the log has %.30q", text)
		}
		for _, path := range []string{"/metrics", "/v1/status", "/v1/routes"} {
			if strings.Contains(w.AdminCall(t, "GET", path, "").Body, text) {
				t.Errorf("%s shows %.30q", path, text)
			}
		}
	}
}

func TestG03NoDetailToClients(t *testing.T) {
	t.Parallel()
	w := own(t, nil)
	w.up.Close()
	a := w.Send(t, rig.Get("/open/"))
	a.Refused(t, 502, "upstream_unavailable")
	for _, text := range []string{"127.0.0.1", "dial", "connection refused", strings.TrimPrefix(w.up.URL, "http://")} {
		if strings.Contains(a.Body+fmt.Sprint(a.Header), text) {
			t.Errorf("the client is told %q: %s", text, a.Body)
		}
	}
	if line := w.Log.Wait(t, "request failed"); !strings.Contains(fmt.Sprint(line["detail"]), "connect") {
		t.Errorf("the log does not say what failed: %v", line)
	}
}

// Nobody reads the log: requests go on all the same.
func TestG04LogThatIsNotRead(t *testing.T) {
	t.Parallel()
	w := own(t, nil)
	w.Log.Block()
	defer w.Log.Unblock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw := rig.Get("/open/" + strings.Repeat("x", 1500))
		for range 200 { // more than a pipe and the reader's buffer hold
			if w.Send(t, raw).Status != 200 {
				t.Error("not answered")
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("requests wait for the log to be read")
		w.Log.Unblock()
		<-done
	}
}
