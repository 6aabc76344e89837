package threats

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// An answer that carries a token is nobody else's, whatever the upstream says
// of caching and of origins.
func TestL01L03L04L05RenewedAnswer(t *testing.T) {
	w := attack(t)
	w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) {
		for name, value := range map[string]string{
			"Cache-Control": "public, max-age=3600", "Authorization": "Bearer theirs", "Vary": "Origin", "Surrogate-Control": "max-age=60", "CDN-Cache-Control": "max-age=60",
			"Access-Control-Expose-Headers": "*", "Access-Control-Allow-Origin": "https://app.example",
		} {
			rw.Header().Set(name, value)
		}
		_, _ = io.WriteString(rw, "hello")
	})
	a := w.Send(t, rig.Get("/orders/", keyLine, bearer(token(t, nil)), "Origin: https://evil.example"))
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Vary": "Origin Authorization", "Surrogate-Control": "", "Cdn-Cache-Control": "",
		"Access-Control-Expose-Headers": "* Authorization", "Access-Control-Allow-Origin": "https://app.example", "Access-Control-Allow-Credentials": "",
	} {
		if got := strings.Join(a.Header.Values(name), " "); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if lines := a.Header.Values("Authorization"); len(lines) != 1 || strings.Contains(lines[0], "theirs") || a.Token() == "" {
		t.Errorf("Authorization is %q", lines)
	}
	plain := w.Send(t, rig.Get("/both/", keyLine, bearer(token(t, nil))))
	if got := plain.Header.Get("Cache-Control"); got != "public, max-age=3600" {
		t.Errorf("without a token Cache-Control is %q", got)
	}
}

// The upstream cannot have taken away what is ours to say.
func TestL01L03ConnectionOfTheUpstream(t *testing.T) {
	w := attack(t)
	w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Connection", "Authorization, Cache-Control, Vary, Access-Control-Expose-Headers, X-Request-Id")
	})
	a := w.Send(t, rig.Get("/orders/", keyLine, bearer(token(t, nil))))
	for _, name := range []string{"Authorization", "Cache-Control", "Vary", "Access-Control-Expose-Headers", "X-Request-Id"} {
		if len(a.Header.Values(name)) != 1 {
			t.Errorf("%s is %q", name, a.Header.Values(name))
		}
	}
}

func TestL02WhereNoTokenIsPut(t *testing.T) {
	w := attack(t)
	var status int
	w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Link", "</a.css>; rel=preload")
		rw.WriteHeader(103)
		rw.WriteHeader(status)
	})
	for status = range map[int]bool{200: true, 201: true, 204: true, 302: true, 303: true, 304: false, 400: false, 401: false, 404: false, 500: false, 503: false} {
		a := w.Send(t, rig.Get("/orders/", keyLine, bearer(token(t, nil))))
		want := status < 400 && status != 304
		if a.Status != status || (a.Token() != "") != want {
			t.Errorf("%d: %d with Authorization %q", status, a.Status, a.Header.Values("Authorization"))
		}
		if len(a.Early) != 1 || a.Early[0].Header.Get("Authorization") != "" || a.Early[0].Header.Get("Link") == "" {
			t.Errorf("%d: early hints %v", status, a.Early)
		}
	}
}

func TestL06L07SessionsAndStampedes(t *testing.T) {
	w := attack(t)
	now := time.Now().Unix()
	// The session may last two hours; this one has begun two hours ago but for
	// 300 seconds.
	capped := token(t, map[string]any{"iat": now - 10, "exp": now + 100, "auth_time": now - 7200 + 300, "sid": "l06"})
	a := w.Send(t, rig.Get("/orders/", keyLine, bearer(capped)))
	if a.Token() == "" {
		t.Fatal("not renewed")
	}
	for _, past := range []int64{7200, 7300} {
		over := token(t, map[string]any{"iat": now - 10, "exp": now + 100, "auth_time": now - past})
		if a := w.Send(t, rig.Get("/orders/", keyLine, bearer(over))); a.Status != 200 || a.Token() != "" {
			t.Errorf("a session of %d seconds: %d %q", past, a.Status, a.Token())
		}
	}
	tok := token(t, nil)
	raw := rig.Get("/orders/", keyLine, bearer(tok))
	tokens := make([]string, 50)
	var group sync.WaitGroup
	for i := range tokens {
		group.Go(func() { tokens[i] = w.Send(t, raw).Token() })
	}
	group.Wait()
	for _, each := range tokens {
		if each == "" || each != tokens[0] {
			t.Fatalf("50 requests with one token had several successors: %q and %q", tokens[0], each)
		}
	}
}

func TestL09DenialsAreNotCached(t *testing.T) {
	w := attack(t)
	for _, raw := range []string{rig.Get("/orders/"), rig.Get("/orders/", keyLine), rig.Get("/admin/", keyLine, bearer(token(t, nil))), rig.Get("/nothing"), rig.Get("/open//")} {
		if a := w.Send(t, raw); a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d: Cache-Control %q", a.Status, a.Header.Get("Cache-Control"))
		}
	}
}
