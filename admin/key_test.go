package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

func TestMakeKey(t *testing.T) {
	f := newFake()
	w := f.call(t, "POST", "/v1/keys", `{"id":"reporting","not_after":"2027-01-01T00:00:00Z","routes":["orders"]}`)
	answer := wantJSON[keyAnswer](t, w, 201)
	if len(f.stored) != 1 {
		t.Fatalf("%d keys stored", len(f.stored))
	}
	key := f.stored[0]
	if key.SHA256 != sha256.Sum256([]byte(answer.Key)) || answer.SHA256 != hex.EncodeToString(key.SHA256[:]) {
		t.Error("the stored hash is not that of the key")
	}
	if key.ID != "reporting" || !key.NotAfter.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) || len(key.Routes) != 1 || key.Routes[0] != "orders" {
		t.Errorf("stored %+v", key)
	}
	if auth.MistypedAPIKey(answer.Key) || !strings.HasPrefix(answer.Key, "gh_") {
		t.Errorf("made the key %q", answer.Key)
	}
	if again := wantJSON[keyAnswer](t, f.call(t, "POST", "/v1/keys", `{"id":"reporting"}`), 201); again.Key == answer.Key {
		t.Error("two keys are the same")
	}
	if len(f.stored) != 2 || !f.stored[1].NotAfter.IsZero() || f.stored[1].Routes != nil {
		t.Errorf("stored %+v", f.stored)
	}
}

// The key itself is in the one answer that made it and nowhere else.
func TestK07KeyIsShownOnce(t *testing.T) {
	f := newFake()
	key := wantJSON[keyAnswer](t, f.call(t, "POST", "/v1/keys", `{"id":"reporting"}`), 201).Key
	if list := f.call(t, "GET", "/v1/keys", "").Body.String(); strings.Contains(list, key) || strings.Contains(list, `"key"`) {
		t.Errorf("listed: %s", list)
	}
	if strings.Contains(f.log.String(), key) || !strings.Contains(f.log.String(), "reporting") {
		t.Errorf("logged: %s", &f.log)
	}
}

func TestMakeKeyRefuses(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                      "id",
		`{"id":""}`:               "id",
		`{"id":"a b"}`:            "id",
		`{"id":"a\r\nX-Evil: 1"}`: "id",
		`{"id":"ä"}`:              "id",
		`{"id":"` + strings.Repeat("a", 129) + `"}`:          "id",
		`{"id":"a","not_after":"soon"}`:                      "not_after",
		`{"id":"a","not_after":"2020-01-01T00:00:00Z"}`:      "not_after",
		`{"id":"a","not_after":"2026-05-04T12:00:00Z"}`:      "not_after",
		`{"id":"a","not_after":"9999-12-31T23:59:59-23:59"}`: "not_after",
		`{"id":"a","routes":["nowhere"]}`:                    "nowhere",
		`{"id":"a","routes":[]}`:                             "routes",
		`{"id":"a","key":"my-own"}`:                          "/key",
	} {
		f := newFake()
		detail := wantProblem(t, f.call(t, "POST", "/v1/keys", body), 400, "request_malformed")
		if !strings.Contains(detail, want) {
			t.Errorf("%s: detail %q does not say %q", body, detail, want)
		}
		if len(f.stored) != 0 {
			t.Errorf("%s: stored %v", body, f.stored)
		}
	}
}

func TestListKeys(t *testing.T) {
	f := newFake()
	f.stored = []auth.APIKey{{ID: "a", SHA256: [32]byte{1}, Routes: []string{"orders"}, NotAfter: now}, {ID: "not UTF-8: \xff"}}
	keys := wantJSON[map[string][]keyAnswer](t, f.call(t, "GET", "/v1/keys", ""), 200)["keys"]
	if len(keys) != 3 || keys[0].ID != "a" || keys[0].Source != "store" || keys[0].SHA256 != "01"+strings.Repeat("00", 31) ||
		!keys[0].NotAfter.Equal(now) || keys[2].ID != "web-app" || keys[2].Source != "config" || keys[2].Routes != nil {
		t.Errorf("keys are %+v", keys)
	}
}

func TestDeleteKey(t *testing.T) {
	f := newFake()
	f.stored = []auth.APIKey{{ID: "a", SHA256: [32]byte{1}}, {ID: "a", SHA256: [32]byte{2}}, {ID: "b", SHA256: [32]byte{3}}, {ID: "a", SHA256: [32]byte{4}}}
	second := "02" + strings.Repeat("00", 31)
	if w := f.call(t, "DELETE", "/v1/keys/a?sha256="+second, ""); w.Code != 204 || len(f.stored) != 3 {
		t.Fatalf("one by its hash: %d %s, left %+v", w.Code, w.Body, f.stored)
	}
	wantProblem(t, f.call(t, "DELETE", "/v1/keys/a?sha256="+second, ""), 404, "key_not_found")
	wantProblem(t, f.call(t, "DELETE", "/v1/keys/b?sha256="+second, ""), 404, "key_not_found")
	if w := f.call(t, "DELETE", "/v1/keys/a", ""); w.Code != 204 || len(f.stored) != 1 || f.stored[0].ID != "b" {
		t.Fatalf("all of an id: %d, left %+v", w.Code, f.stored)
	}
	wantProblem(t, f.call(t, "DELETE", "/v1/keys/a", ""), 404, "key_not_found")
	wantProblem(t, f.call(t, "DELETE", "/v1/keys/web-app", ""), 409, "key_configured")
	if !strings.Contains(f.log.String(), "deleted") {
		t.Error("not in the log")
	}
}

func TestMakeKeyWithRevokedID(t *testing.T) {
	f := newFake()
	f.storeErr = fmt.Errorf("the store says: %w", auth.ErrAPIKeyRevoked)
	wantProblem(t, f.call(t, "POST", "/v1/keys", `{"id":"dead"}`), 409, "key_revoked")
}
