package contract

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// The successor has the same claims, its own times and id, and its
// predecessor's session and life.
func TestRenewedToken(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	now := time.Now().Unix()
	for name, presented := range map[string]map[string]any{
		"begins a session":  {"jti": "first", "iat": now - 100, "exp": now + 500},
		"carries it on":     {"jti": "second", "sid": "s1", "auth_time": now - 3000, "iat": now - 100, "exp": now + 500, "nbf": now - 100},
		"without jti":       {"jti": nil, "iat": now - 100, "exp": now + 500},
		"with other claims": {"iat": now - 100, "exp": now + 500, "realm": map[string]any{"roles": []string{"a"}}, "n": jsonNumber("12345678901234567890"), "scope": "x y"},
	} {
		t.Run(name, func(t *testing.T) {
			tok := token(t, presented)
			before := payloadOf(t, tok)
			a := w.Send(t, rig.Get("/orders/", keyLine, bearer(tok)))
			after := payloadOf(t, a.Token())
			iat, exp := after["iat"].(float64), after["exp"].(float64)
			if iat < float64(now) || iat > float64(time.Now().Unix()) || after["nbf"] != iat || exp-iat != 600 {
				t.Errorf("iat %v nbf %v exp %v, now %d", after["iat"], after["nbf"], after["exp"], now)
			}
			if after["jti"] == nil || after["jti"] == before["jti"] {
				t.Errorf("jti %v", after["jti"])
			}
			want := before["sid"]
			if want == nil {
				want = before["jti"]
			}
			if want != nil && after["sid"] != want || after["sid"] == nil {
				t.Errorf("sid %v, want %v", after["sid"], want)
			}
			begun := before["auth_time"]
			if begun == nil {
				begun = before["iat"]
			}
			if after["auth_time"] != begun {
				t.Errorf("auth_time %v, want %v", after["auth_time"], begun)
			}
			for _, changed := range []string{"iat", "nbf", "exp", "jti", "sid", "auth_time"} {
				delete(before, changed)
				delete(after, changed)
			}
			if fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("claims are %v, want %v", after, before)
			}
			if second := w.Send(t, rig.Get("/orders/", keyLine, bearer(a.Token()))); second.Status != 200 {
				t.Errorf("the successor is answered %d %s", second.Status, second.Body)
			}
		})
	}
}

// Which answers carry a token, and what else they then say.
func TestRenewalByStatus(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	var status int
	w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Authorization", "Bearer of-the-upstream")
		rw.Header().Set("Cache-Control", "public, max-age=60")
		rw.Header().Set("Access-Control-Expose-Headers", "X-A")
		if status != 200 {
			rw.WriteHeader(100)
			rw.WriteHeader(103)
		}
		rw.WriteHeader(status)
	})
	for _, status = range []int{200, 201, 202, 204, 206, 301, 302, 303, 307, 308, 304, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504} {
		a := w.Send(t, rig.Get("/orders/", keyLine, bearer(token(t, nil))))
		lines := a.Header.Values("Authorization")
		cache, expose := a.Header.Get("Cache-Control"), strings.Join(a.Header.Values("Access-Control-Expose-Headers"), ", ")
		if status < 400 && status != 304 {
			if len(lines) != 1 || strings.Contains(lines[0], "upstream") || cache != "no-store" || expose != "X-A, Authorization" {
				t.Errorf("%d: Authorization %q, Cache-Control %q, Expose-Headers %q", status, lines, cache, expose)
			}
		} else if len(lines) != 0 || cache != "public, max-age=60" || expose != "X-A" {
			t.Errorf("%d: Authorization %q, Cache-Control %q, Expose-Headers %q", status, lines, cache, expose)
		}
		for _, early := range a.Early {
			if early.Status != 103 || early.Header.Get("Authorization") != "" {
				t.Errorf("%d: early %d with %q", status, early.Status, early.Header.Values("Authorization"))
			}
		}
		if want := min(1, status-200); len(a.Early) != want {
			t.Errorf("%d: %d early hints, want %d", status, len(a.Early), want)
		}
	}
	for name, raw := range map[string]string{
		"a route that does not renew": rig.Get("/plain/", keyLine, bearer(token(t, nil))),
		"an open route":               rig.Get("/open/", bearer(token(t, nil))),
	} {
		status = 200
		if a := w.Send(t, raw); a.Header.Get("Authorization") != "" || a.Header.Get("Cache-Control") != "public, max-age=60" {
			t.Errorf("%s: %v", name, a.Header)
		}
	}
}

// Requests at the same time with one token have one successor, and it is used
// again within the interval. RSA signs slowly enough for requests to meet.
func TestRenewalIsSingle(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", func(c *rig.Config) {
		c.Files["rs.key"] = rig.PrivatePEM(rig.KeyPairs()["RSA"])
		c.YAML = strings.Replace(c.YAML, "keys: [{kid: hs,", "keys: [{kid: rs, algorithm: RS256, private_key_file: rs.key}, {kid: hs,", 1)
	})
	const rounds, parallel = 10, 20
	for range rounds {
		gate := make(chan struct{})
		var arrived, group sync.WaitGroup
		arrived.Add(parallel)
		w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) {
			arrived.Done()
			<-gate
			_, _ = io.WriteString(rw, "hello")
		})
		raw := rig.Get("/orders/", keyLine, bearer(token(t, nil)))
		tokens := make([]string, parallel)
		for i := range tokens {
			group.Go(func() { tokens[i] = w.Send(t, raw).Token() })
		}
		arrived.Wait()
		close(gate)
		group.Wait()
		arrived.Add(1)
		for _, each := range append(tokens, w.Send(t, raw).Token()) {
			if each == "" || each != tokens[0] {
				t.Fatal("requests with one token got several")
			}
		}
	}
	metrics := w.AdminCall(t, "GET", "/metrics", "").Body
	for result, n := range map[string]int{"minted": rounds, "reused": rounds * parallel} {
		if line := fmt.Sprintf("gatehouse_renewals_total{issuer=\"main\",result=%q} %d\n", result, n); !strings.Contains(metrics, line) {
			t.Errorf("no line %s", line)
		}
	}
}

// The cap is two hours from auth_time.
func TestRenewalCap(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	now := time.Now().Unix()
	for _, row := range []struct{ begun, left int64 }{{7200 - 400, 400}, {7200 - 601, 600}, {7200 - 300, 300}, {7200 - 90, 90}} {
		tok := token(t, map[string]any{"auth_time": now - row.begun, "iat": now - 500, "exp": now + 100, "sid": "s"})
		after := payloadOf(t, w.Send(t, rig.Get("/orders/", keyLine, bearer(tok))).Token())
		if left := int64(after["exp"].(float64)) - now; left < row.left-1 || left > row.left+15 || after["auth_time"] != float64(now-row.begun) {
			t.Errorf("begun %d s ago: ends in %d s, want %d", row.begun, left, row.left)
		}
	}
	for _, begun := range []int64{7200, 7300} {
		tok := token(t, map[string]any{"auth_time": now - begun, "iat": now - 500, "exp": now + 100, "sid": "s"})
		if a := w.Send(t, rig.Get("/orders/", keyLine, bearer(tok))); a.Status != 200 || a.Token() != "" || a.Header.Get("Cache-Control") != "" {
			t.Errorf("begun %d s ago: %d, renewed %q", begun, a.Status, a.Token())
		}
	}
	if metrics := w.AdminCall(t, "GET", "/metrics", "").Body; !strings.Contains(metrics, `gatehouse_renewals_total{issuer="main",result="capped"} 2`) {
		t.Error("capped renewals are not counted")
	}
}

// A renewal that cannot be made harms nothing, and is counted and logged.
func TestRenewalThatFails(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	a := w.Send(t, rig.Get("/orders/", keyLine, bearer(token(t, map[string]any{"iat": nil}))))
	if a.Status != 200 || a.Token() != "" {
		t.Errorf("%d %q", a.Status, a.Token())
	}
	w.Log.Wait(t, "token not renewed")
	if metrics := w.AdminCall(t, "GET", "/metrics", "").Body; !strings.Contains(metrics, `gatehouse_renewals_total{issuer="main",result="failed"} 1`) {
		t.Error("the failed renewal is not counted")
	}
}

// After half a life and not before.
func TestRenewalAfterAFraction(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", func(c *rig.Config) { c.YAML = strings.Replace(c.YAML, "after: 0,", "after: 0.5,", 1) })
	now := time.Now().Unix()
	for used, want := range map[int64]bool{10: false, 290: false, 310: true, 590: true} {
		tok := token(t, map[string]any{"iat": now - used, "exp": now - used + 600})
		if a := w.Send(t, rig.Get("/orders/", keyLine, bearer(tok))); (a.Token() != "") != want {
			t.Errorf("%d of 600 s used: renewed %v, want %v", used, a.Token() != "", want)
		}
	}
}
