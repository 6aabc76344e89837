package contract

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// environmentOf is the environment of a command that reads w's configuration.
func environmentOf(w *world) []string {
	env := os.Environ()
	for name, value := range environment("memory:", w.up.URL) {
		env = append(env, name+"="+value)
	}
	return env
}

// series are the metrics and their labels.
var series = map[string]string{
	"gatehouse_requests_total": "method route status", "gatehouse_request_duration_seconds": "route", "gatehouse_auth_decisions_total": "reason result route",
	"gatehouse_upstream_duration_seconds": "route", "gatehouse_renewals_total": "issuer result", "gatehouse_revocations": "kind", "gatehouse_revocation_age_seconds": "",
	"gatehouse_revocation_filter_bits": "", "gatehouse_revocation_confirmations_total": "result",
	"gatehouse_revocation_propagation_seconds": "", "gatehouse_store_up": "", "gatehouse_store_duration_seconds": "operation", "gatehouse_config_reload_success": "",
	"gatehouse_config_reloaded_timestamp_seconds": "", "gatehouse_issuer_keys": "issuer", "gatehouse_issuer_keys_age_seconds": "issuer", "gatehouse_issuer_keys_skipped": "issuer", "gatehouse_refresh_replays_total": "",
	"gatehouse_log_lines_dropped_total": "", "gatehouse_build_info": "commit go version",
}

func TestMetrics(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url, nil)
		w.Send(t, rig.Get("/orders/", keyLine, bearer(token(t, nil))))
		w.Send(t, rig.Get("/orders/", keyLine))
		w.Send(t, rig.Get("/nothing"))
		w.revoke(t, `{"kind":"sid","id":"a"}`)
		var a rig.Answer
		rig.Eventually(t, "in force", func() bool {
			a = w.AdminCall(t, "GET", "/metrics", "")
			return strings.Contains(a.Body, `gatehouse_revocations{kind="sid"} 1`+"\n") && !strings.Contains(a.Body, "gatehouse_revocation_propagation_seconds_count 0\n")
		})
		if a.Status != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%d %q", a.Status, a.Header.Get("Content-Type"))
		}
		label, histogram := regexp.MustCompile(`([a-z_]+)="`), regexp.MustCompile(`_(bucket|sum|count)$`)
		seen := map[string]bool{}
		for line := range strings.Lines(a.Body) {
			if !strings.HasPrefix(line, "gatehouse_") {
				continue
			}
			name, labels, _ := strings.Cut(strings.Fields(line)[0], "{")
			if _, ok := series[name]; !ok {
				name = histogram.ReplaceAllString(name, "")
			}
			var names []string
			for _, m := range label.FindAllStringSubmatch(labels, -1) {
				if m[1] != "le" {
					names = append(names, m[1])
				}
			}
			slices.Sort(names)
			if want, ok := series[name]; !ok || strings.Join(names, " ") != want {
				t.Errorf("%s has labels %v, want %q", name, names, want)
			}
			seen[name] = true
		}
		for name := range series {
			if !seen[name] {
				t.Errorf("%s is missing", name)
			}
		}
		for _, line := range []string{
			`gatehouse_requests_total{method="GET",route="orders",status="200"} 1`, `gatehouse_requests_total{method="GET",route="orders",status="401"} 1`,
			`gatehouse_auth_decisions_total{reason="token_missing",result="denied",route="orders"} 1`, `gatehouse_auth_decisions_total{reason="ok",result="allowed",route="orders"} 1`,
			`gatehouse_upstream_duration_seconds_count{route="orders"} 1`, `gatehouse_renewals_total{issuer="main",result="minted"} 1`,
			`gatehouse_store_up 1`, `gatehouse_config_reload_success 1`, `gatehouse_issuer_keys{issuer="main"} 1`,
		} {
			if !strings.Contains(a.Body, line+"\n") {
				t.Errorf("no line %s", line)
			}
		}
	})
}

func TestAccessLine(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * time.Millisecond) // so that upstream_ms is not 0
		_, _ = io.WriteString(rw, "hello")
	})
	tok := token(t, map[string]any{"jti": "the-jti"})
	a := w.Send(t, rig.Get("/orders/7?password=hunter2", keyLine, bearer(tok)))
	line, text := w.Log.Access(t, a)
	keys := []string{"time", "level", "msg", "request_id", "method", "host", "path", "route", "status", "bytes", "duration_ms", "upstream_ms", "client_ip", "api_key_id", "sub", "jti", "result", "reason"}
	if got := keysOf(t, text); !slices.Equal(got, keys) {
		t.Errorf("keys are %v, want %v", got, keys)
	}
	for key, want := range map[string]any{
		"level": "INFO", "msg": "request", "method": "GET", "host": "gw.example", "path": "/orders/7", "route": "orders", "status": 200.0, "bytes": 5.0,
		"client_ip": "127.0.0.1", "api_key_id": "web", "sub": "alice", "jti": "the-jti", "result": "allowed", "reason": "ok",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	took, upstream := line["duration_ms"].(float64), line["upstream_ms"].(float64)
	if upstream < 2 || took < upstream || took > 20000 {
		t.Errorf("duration_ms %v, upstream_ms %v", took, upstream)
	}
	denied := w.Send(t, rig.Get("/orders/?password=hunter2", "Api-Key: wrong-secret", bearer(tok)))
	line, text = w.Log.Access(t, denied)
	if got := keysOf(t, text); !slices.Equal(got, keys) {
		t.Errorf("keys of a denial are %v", got)
	}
	if line["result"] != "denied" || line["reason"] != "api_key_invalid" || line["status"] != 401.0 || line["sub"] != "" || line["upstream_ms"] != 0.0 {
		t.Errorf("%s", text)
	}
	for _, hidden := range []string{"hunter2", apiKey, "wrong-secret", tok, a.Token(), secret} {
		if strings.Contains(w.Log.String(), hidden) {
			t.Errorf("the log has %.20q", hidden)
		}
	}
}

// keysOf are the keys of a JSON object in their order.
func keysOf(t *testing.T, text string) (keys []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	for i := 0; ; i++ {
		token, err := d.Token()
		if err == io.EOF {
			return keys
		}
		if err != nil {
			t.Fatal(err)
		}
		if key, ok := token.(string); ok && i%2 == 1 {
			keys = append(keys, key)
		}
	}
}

func TestAdminAPI(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url, nil)
		for _, row := range []struct {
			method, path, body string
			status             int
			has                []string
		}{
			{"GET", "/livez", "", 200, nil},
			{"GET", "/readyz", "", 200, []string{`"ready":true`, `"config"`, `"revocations"`, `"keys"`}},
			{"GET", "/v1/status", "", 200, []string{`"version"`, `"stale":false`, `"main"`}},
			{"GET", "/v1/routes", "", 200, []string{`"orders"`, `"/orders/"`, `"scoped"`}},
			{"GET", "/v1/keys", "", 200, []string{`"web"`, `"ended"`, rig.Hash(apiKey)}},
			{"GET", "/v1/revocations", "", 200, []string{`"revocations":[]`}},
			{"POST", "/v1/reload", "", 200, []string{"loaded_at"}},
			{"POST", "/v1/explain", fmt.Sprintf(`{"method":"GET","target":"/orders/7","headers":[{"name":"Api-Key","value":%q}]}`, apiKey), 200, []string{"token_missing", `"orders"`}},
			{"POST", "/v1/keys", `{"id":"a b"}`, 400, nil},
			{"DELETE", "/v1/keys/nobody", "", 404, nil},
			{"DELETE", "/v1/keys/web", "", 409, nil},
			{"GET", "/v1/nothing", "", 404, nil},
			{"PUT", "/v1/keys", "", 405, nil},
			{"GET", "/v1/reload", "", 405, nil},
		} {
			a := w.AdminCall(t, row.method, row.path, row.body)
			if a.Status != row.status || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d %s %v, want %d", row.method, row.path, a.Status, a.Body, a.Header, row.status)
			}
			if row.status >= 400 && (a.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.Body, `"type":"urn:gatehouse:problem:`)) {
				t.Errorf("%s %s: no problem: %s", row.method, row.path, a.Body)
			}
			for _, text := range row.has {
				if !strings.Contains(a.Body, text) {
					t.Errorf("%s %s has no %s: %s", row.method, row.path, text, a.Body)
				}
			}
			if strings.Contains(a.Body, apiKey) || strings.Contains(a.Body, secret) {
				t.Errorf("%s %s shows a secret", row.method, row.path)
			}
		}
		w.storedKey(t)
	})
}

// storedKey makes a key by the admin API, uses it, deletes it.
func (w *world) storedKey(t *testing.T) {
	t.Helper()
	a := w.AdminCall(t, "POST", "/v1/keys", `{"id":"mobile","routes":["orders"]}`)
	var made struct{ Key, SHA256 string }
	if err := json.Unmarshal([]byte(a.Body), &made); err != nil || a.Status != 201 || rig.Hash(made.Key) != made.SHA256 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	tok := bearer(token(t, nil))
	raw := rig.Get("/orders/", "Api-Key: "+made.Key, tok)
	w.eventually(t, raw, 200)
	w.up.Take()
	w.Send(t, raw)
	if got := w.up.Last(t).Header.Get("X-Client-Id"); got != "mobile" {
		t.Errorf("X-Client-Id is %q", got)
	}
	w.Send(t, rig.Get("/plain/", "Api-Key: "+made.Key, tok)).Refused(t, 403, "api_key_forbidden")
	if list := w.AdminCall(t, "GET", "/v1/keys", "").Body; strings.Contains(list, made.Key) || !strings.Contains(list, made.SHA256) {
		t.Errorf("listed: %s", list)
	}
	if a := w.AdminCall(t, "DELETE", "/v1/keys/mobile", ""); a.Status != 204 {
		t.Errorf("deleting: %d %s", a.Status, a.Body)
	}
	w.eventually(t, raw, 401)
	w.Send(t, raw).Refused(t, 401, "api_key_invalid")
	if strings.Contains(w.Log.String(), made.Key) {
		t.Error("the key is in the log")
	}
}

// Without a token the API is off; probes and metrics stay.
func TestAdminAPIIsOffWithoutToken(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", func(c *rig.Config) { c.YAML = strings.Replace(c.YAML, `, token: "${ADMIN_TOKEN}"`, "", 1) })
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/metrics": 200, "/v1/status": 404, "/v1/revocations": 404} {
		for _, line := range []string{"Authorization: Bearer " + rig.AdminToken, "Authorization: Bearer ", "A: b"} {
			if a := w.AdminRaw(t, rig.Get(path, line)); a.Status != want {
				t.Errorf("%s with %s: %d, want %d", path, line, a.Status, want)
			}
		}
	}
}

func TestAdminToken(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", func(c *rig.Config) {
		c.YAML = strings.Replace(c.YAML, `token: "${ADMIN_TOKEN}"`, "token_file: admin.token", 1)
		c.Files["admin.token"] = rig.AdminToken + "\n"
	})
	for line, want := range map[string]int{
		"Authorization: Bearer " + rig.AdminToken: 200, "Authorization: Bearer " + rig.AdminToken + "x": 401, "Authorization: Bearer": 401, "Authorization: Basic " + rig.AdminToken: 401,
		"A: b": 401, bearer(token(t, nil)): 401,
	} {
		a := w.AdminRaw(t, rig.Get("/v1/status", line))
		if a.Status != want || want == 401 && a.Header.Get("Www-Authenticate") == "" {
			t.Errorf("%.40s: %d %v, want %d", line, a.Status, a.Header, want)
		}
	}
	const fresh = "another admin token, of 36 bytes too"
	if err := os.WriteFile(filepath.Join(w.Folder, "admin.token"), []byte(fresh+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "reloaded", func() bool {
		return w.AdminRaw(t, rig.Get("/v1/status", "Authorization: Bearer "+fresh)).Status == 200
	})
	if a := w.AdminCall(t, "GET", "/v1/status", ""); a.Status != 401 {
		t.Errorf("the token before: %d", a.Status)
	}
}
