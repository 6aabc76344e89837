package token_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// sh runs a guide's line, with this gateway in the place of its host, and the
// key and token in the place of theirs. It returns what is printed, the status
// last.
func (w *world) sh(t *testing.T, line, access, refresh string) (body, status string) {
	t.Helper()
	line = strings.NewReplacer("https://api.makakoo.com", "http://"+w.Addr, "<your_api_key>", rig.WebKey, "[email protected]", "jane@example.com",
		"your_password", rig.JanePassword, "eyJhbGciOiJSUzI1NiJ9...", access, "dGhpcyBpcyBhIHJlZnJlc2ggdG9rZW4...", refresh).Replace(line)
	cmd := exec.Command("sh", "-c", strings.Replace(line, "curl ", `curl -sS -w '\n%{http_code}' `, 1))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	i := strings.LastIndexByte(string(out), '\n')
	return string(out[:i]), string(out[i+1:])
}

// The TrayLinx guide's own lines.
func TestGuideTrayLinxByCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		const missing = "curl is missing: apt-get install curl"
		if os.Getenv(storetest.RequireServices) != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	w := start(t, "memory:", signsRS256, replace("match: /both/", "match: /ma-metrics-wsp-ms/"))
	const (
		login = `curl -X POST https://api.makakoo.com/ma-authentication-ms/v1/api/oauth/token \
  -H "Content-Type: application/json" \
  -H "Api-Key: <your_api_key>" \
  -d '{
    "username": "[email protected]",
    "password": "your_password"
  }'`
		call = `curl https://api.makakoo.com/ma-metrics-wsp-ms/v1/api/organizations \
  -H "Authorization: Bearer eyJhbGciOiJSUzI1NiJ9..." \
  -H "Api-Key: <your_api_key>" \
  -H "Accept: application/json"`
		refresh = `curl -X POST https://api.makakoo.com/ma-authentication-ms/v1/api/oauth/token/refresh \
  -H "Content-Type: application/json" \
  -H "Api-Key: <your_api_key>" \
  -d '{
    "refresh_token": "dGhpcyBpcyBhIHJlZnJlc2ggdG9rZW4..."
  }'`
		revoke = `curl https://api.makakoo.com/ma-authentication-ms/v1/api/oauth/token/revoke \
  -H "Authorization: Bearer eyJhbGciOiJSUzI1NiJ9..." \
  -H "Api-Key: <your_api_key>" \
  -H "Accept: application/json"`
		info = `curl https://api.makakoo.com/ma-authentication-ms/v1/api/oauth/token/info \
  -H "Authorization: Bearer eyJhbGciOiJSUzI1NiJ9..." \
  -H "Api-Key: <your_api_key>"`
	)
	session := func(body string) (access, refresh string) {
		document := object(t, body)
		return text(t, document, "data", "attributes", "accessToken"), text(t, document, "data", "attributes", "refreshToken")
	}
	body, _ := w.sh(t, login, "", "")
	_, old := session(body)
	body, _ = w.sh(t, refresh, "", old)
	access, _ := session(body)
	for i, step := range []struct{ line, status string }{{call, "200"}, {info, "200"}, {revoke, "200"}, {call, "401"}, {info, "401"}, {revoke, "401"}} {
		if body, status := w.sh(t, step.line, access, ""); status != step.status {
			t.Errorf("step %d: %s %s, want %s", i, status, body, step.status)
		}
	}
}
