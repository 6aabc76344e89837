package admin

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

func TestRevoke(t *testing.T) {
	two := []*auth.Issuer{
		{Name: "main", MaxTokenLife: 24 * time.Hour, Leeway: 10 * time.Second},
		{Name: "partner", MaxTokenLife: time.Hour, Leeway: time.Second},
	}
	second := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) // now, less its fraction
	day := second.Add(24*time.Hour + 21*time.Second)       // life, two leeways, rounded up
	for body, want := range map[string]auth.Revocation{
		`{"kind":"jti","id":"t1","issuer":"main"}`:                                {Kind: auth.KindToken, Issuer: "main", ID: "t1", Until: day},
		`{"kind":"sid","id":"s1","issuer":"main","ttl":"90m"}`:                    {Kind: auth.KindSession, Issuer: "main", ID: "s1", Until: second.Add(90*time.Minute + time.Second)},
		`{"kind":"sub","id":"u","issuer":"partner"}`:                              {Kind: auth.KindSubject, Issuer: "partner", ID: "u", Before: second, Until: second.Add(time.Hour + 3*time.Second)},
		`{"kind":"client","id":"c","issuer":"main"}`:                              {Kind: auth.KindClient, Issuer: "main", ID: "c", Before: second, Until: day},
		`{"kind":"sid","id":"s","issuer":"main","before":"2026-05-04T11:00:00Z"}`: {Kind: auth.KindSession, Issuer: "main", ID: "s", Before: second.Add(-time.Hour), Until: day},
		`{"kind":"issuer","id":"main","before":"2026-05-04T11:00:00Z"}`:           {Kind: auth.KindIssuer, ID: "main", Before: second.Add(-time.Hour), Until: day},
		`{"kind":"api_key","id":"web-app"}`:                                       {Kind: auth.KindAPIKey, ID: "web-app", Until: second.Add(auth.MaxRevocationTTL + time.Second)},
		// What begins before a time to come is covered for its whole life.
		`{"kind":"sub","id":"u","issuer":"partner","before":"2026-05-04T14:00:00+01:00"}`: {Kind: auth.KindSubject, Issuer: "partner", ID: "u", Before: second.Add(time.Hour), Until: second.Add(2*time.Hour + 2*time.Second)},
	} {
		f := newFake()
		f.issuers = two
		answer := wantJSON[revocationAnswer](t, f.call(t, "POST", "/v1/revocations", body), 201)
		if len(f.revoked) != 1 {
			t.Fatalf("%s: %d entries", body, len(f.revoked))
		}
		got := f.revoked[0]
		if got.Kind != want.Kind || got.Issuer != want.Issuer || got.ID != want.ID || !got.Before.Equal(want.Before) || !got.Until.Equal(want.Until) {
			t.Errorf("%s:\n%+v, want\n%+v", body, got, want)
		}
		if answer.Kind != want.Kind.String() || answer.Issuer != want.Issuer || answer.ID != want.ID || !answer.Before.Equal(want.Before) || !answer.Until.Equal(want.Until) {
			t.Errorf("%s: answered %+v", body, answer)
		}
		if !strings.Contains(f.log.String(), "revoked") {
			t.Errorf("%s: not in the log", body)
		}
	}
}

func TestRevokeWithoutIssuerWhereThereIsOne(t *testing.T) {
	f := newFake()
	wantJSON[revocationAnswer](t, f.call(t, "POST", "/v1/revocations", `{"kind":"jti","id":"t1"}`), 201)
	if f.revoked[0].Issuer != "main" {
		t.Errorf("issuer is %q", f.revoked[0].Issuer)
	}
}

func TestRevokeRefuses(t *testing.T) {
	two := []*auth.Issuer{{Name: "main"}, {Name: "partner"}}
	for body, want := range map[string]string{
		`{"id":"a"}`:                             "kind",
		`{"kind":"user","id":"a"}`:               "jti, sid, sub, client, api_key, issuer",
		`{"kind":"jti","issuer":"main"}`:         "id",
		`{"kind":"jti","id":"","issuer":"main"}`: "id",
		`{"kind":"jti","id":"` + strings.Repeat("x", 1025) + `","issuer":"main"}`: "1024",
		`{"kind":"jti","id":"a"}`:                                                 "main, partner",
		`{"kind":"jti","id":"a","issuer":"other"}`:                                "main, partner",
		`{"kind":"issuer","id":"other"}`:                                          "id: want the name of an issuer",
		`{"kind":"issuer","id":"main","issuer":"main"}`:                           "issuer",
		`{"kind":"api_key","id":"a","issuer":"main"}`:                             "issuer",
		`{"kind":"sub","id":"a","issuer":"main","before":"yesterday"}`:            "before",
		`{"kind":"sub","id":"a","issuer":"main","before":"1777888800"}`:           "before",
		`{"kind":"sub","id":"a","issuer":"main","before":"0001-01-01T00:00:00Z"}`: "before",
		`{"kind":"sub","id":"a","issuer":"main","before":"1969-01-01T00:00:00Z"}`: "before",
		`{"kind":"sub","id":"a","issuer":"main","before":"9999-01-01T00:00:00Z"}`: "before",
		`{"kind":"jti","id":"a","issuer":"main","ttl":"0s"}`:                      "ttl",
		`{"kind":"jti","id":"a","issuer":"main","ttl":"-1h"}`:                     "ttl",
		`{"kind":"jti","id":"a","issuer":"main","ttl":"3600"}`:                    "ttl",
		`{"kind":"jti","id":"a","issuer":"main","ttl":"2000000h"}`:                "ttl",
		`{"kind":"jti","id":"a","issuer":"main","ttl":"99999999999h"}`:            "ttl",
		`{"kind":"jti","id":"a","issuer":"main","forever":true}`:                  "/forever",
		`{"kind":"jti","id":"a","issuer":"main","id":"b"}`:                        "/id",
		`{"Kind":"jti","id":"a","issuer":"main"}`:                                 "/Kind",
		`{"kind":"jti","id":7,"issuer":"main"}`:                                   "/id",
		`{"kind":"jti","id":"a","issuer":"main"} {}`:                              "byte",
		`{"kind":"jti","id":"a"`:                                                  "byte",
		"{\"kind\":\"jti\",\"id\":\"a\xff\",\"issuer\":\"main\"}":                 "byte",
		`[]`:            "wrong kind",
		`kind=jti&id=a`: "byte",
	} {
		f := newFake()
		f.issuers = two
		detail := wantProblem(t, f.call(t, "POST", "/v1/revocations", body), 400, "request_malformed")
		if !strings.Contains(detail, want) {
			t.Errorf("%s: detail %q does not say %q", body, detail, want)
		}
		if len(f.revoked) != 0 {
			t.Errorf("%s: revoked %v", body, f.revoked)
		}
	}
}

func TestRevokeWithoutAnyIssuer(t *testing.T) {
	f := newFake()
	f.issuers = nil
	wantProblem(t, f.call(t, "POST", "/v1/revocations", `{"kind":"jti","id":"a"}`), 400, "request_malformed")
}

func TestBodyLimitAndType(t *testing.T) {
	f := newFake()
	body := `{"kind":"jti","id":"a"` + strings.Repeat(" ", maxBodyBytes) + `}`
	wantProblem(t, f.call(t, "POST", "/v1/revocations", body), 413, "request_too_large")
	for _, media := range []string{"", "application/json", "application/x-www-form-urlencoded"} { // the last is curl's
		wantJSON[revocationAnswer](t, f.call(t, "POST", "/v1/revocations", `{"kind":"jti","id":"a"}`, "Content-Type", media), 201)
	}
}

// Nobody is told that something was revoked while it could still be lost.
func TestRevokeWithoutStore(t *testing.T) {
	f := newFake()
	f.storeErr = errors.New("dial tcp: connection refused")
	for _, w := range []func() (string, string, string){
		func() (string, string, string) { return "POST", "/v1/revocations", `{"kind":"jti","id":"a"}` },
		func() (string, string, string) { return "GET", "/v1/revocations", "" },
		func() (string, string, string) { return "GET", "/v1/keys", "" },
		func() (string, string, string) { return "POST", "/v1/keys", `{"id":"a"}` },
		func() (string, string, string) { return "DELETE", "/v1/keys/a", "" },
	} {
		method, target, body := w()
		answer := f.call(t, method, target, body)
		detail := wantProblem(t, answer, 503, "store_unavailable")
		if answer.Header().Get("Retry-After") == "" {
			t.Errorf("%s %s: no Retry-After", method, target)
		}
		if strings.Contains(detail, "dial") || !strings.Contains(f.log.String(), "dial") {
			t.Errorf("%s %s: detail %q, log %s", method, target, detail, &f.log)
		}
	}
}

func TestListRevocations(t *testing.T) {
	f := newFake()
	list := func() []revocationAnswer {
		return wantJSON[map[string][]revocationAnswer](t, f.call(t, "GET", "/v1/revocations", ""), 200)["revocations"]
	}
	if got := list(); len(got) != 0 {
		t.Errorf("an empty list is %+v", got)
	}
	for i := range 2000 { // more than one buffer full
		f.revoked = append(f.revoked, auth.Revocation{Kind: auth.KindToken, Issuer: "main", ID: fmt.Sprint(i), Until: now})
	}
	f.revoked[3].ID = "not UTF-8: \xff"
	f.revoked[4] = auth.Revocation{Kind: auth.KindSubject, Issuer: "main", ID: "u", Before: now, Until: now.Add(time.Hour)}
	byKey := auth.NewRevocationKey(auth.KindSession, "main", "s")
	f.revoked[6] = auth.Revocation{Kind: auth.KindSession, ByKey: byKey, Until: now}
	got := list()
	if got[6] != (revocationAnswer{Kind: "sid", Key: hex.EncodeToString(byKey[:]), Until: now}) || got[5].Key != "" {
		t.Errorf("an entry that is known by its key: %+v", got[6])
	}
	if len(got) != 2000 || got[1999].ID != "1999" || got[4].Kind != "sub" || !got[4].Before.Equal(now) || !got[5].Before.IsZero() {
		t.Errorf("%d entries, the last %+v, the fifth %+v", len(got), got[len(got)-1], got[4])
	}
}

// A list that breaks off must not look like a whole one.
func TestListRevocationsBreaksOff(t *testing.T) {
	f := newFake()
	for i := range 2000 {
		f.revoked = append(f.revoked, auth.Revocation{Kind: auth.KindToken, Issuer: "main", ID: fmt.Sprint(i), Until: now})
	}
	f.listFails = 3
	wantProblem(t, f.call(t, "GET", "/v1/revocations", ""), 503, "store_unavailable")

	f.listFails = 1999
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("the connection is not broken off: %v", got)
		}
	}()
	f.call(t, "GET", "/v1/revocations", "")
	t.Error("the answer ended as if it were whole")
}
