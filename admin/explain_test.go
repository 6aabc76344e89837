package admin

import (
	"strings"
	"testing"
	"time"
)

func TestExplain(t *testing.T) {
	f := newFake()
	w := f.call(t, "POST", "/v1/explain", `{"method":"POST","target":"/orders/7?a=1;b=%zz","host":"api.example.com",
		"headers":[{"name":"api-key","value":"k"},{"name":"Accept","value":"a"},{"name":"accept","value":"b"}]}`)
	answer := wantJSON[map[string]any](t, w, 200)
	if answer["route"] != "orders" || answer["at"] != now.Format(time.RFC3339Nano) {
		t.Errorf("answered %v", answer)
	}
	r := f.explained
	if r.Method != "POST" || r.RequestURI != "/orders/7?a=1;b=%zz" || r.Host != "api.example.com" || r.URL.RawQuery != "a=1;b=%zz" ||
		r.Header.Get("Api-Key") != "k" || len(r.Header["Accept"]) != 2 || r.RemoteAddr == "" {
		t.Errorf("explained %+v", r)
	}
}

func TestExplainDefaults(t *testing.T) {
	f := newFake()
	f.call(t, "POST", "/v1/explain", `{"target":"/"}`)
	if r := f.explained; r == nil || r.Method != "GET" || r.Host != "localhost" || len(r.Header) != 0 {
		t.Errorf("explained %+v", r)
	}
}

func TestExplainRefuses(t *testing.T) {
	for _, body := range []string{
		`{}`,
		`{"target":"/","client_certificate":"x"}`,
		`{"target":"/","client_certificate":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}`,
		`{"target":"orders"}`,
		`{"target":"/a b"}`,
		`{"target":"/a HTTP/1.1\r\nX: y\r\n\r\n"}`,
		`{"target":"/%zz"}`,
		`{"target":"/","method":"G ET"}`,
		`{"target":"/","host":"a\r\nX: y"}`,
		`{"target":"/","host":"a b"}`,
		`{"target":"/","headers":[{"name":"","value":"a"}]}`,
		`{"target":"/","headers":[{"name":"A","value":"a\r\nB: b"}]}`,
		`{"target":"/","headers":[{"name":"A\nB","value":"a"}]}`,
		`{"target":"/","headers":[{"name":"a b","value":"a"}]}`,
		`{"target":"/","headers":[{"name":"A","value":"a\u0000"}]}`,
		`{"target":"/","headers":[{"name":"host","value":"a"}]}`,
		`{"target":"/","headers":[{"name":"A","value":"a","more":"b"}]}`,
	} {
		f := newFake()
		detail := wantProblem(t, f.call(t, "POST", "/v1/explain", body), 400, "request_malformed")
		if strings.Contains(body, `"host","value"`) && !strings.Contains(detail, "as host") {
			t.Errorf("%s: detail %q does not say where the Host goes", body, detail)
		}
		if f.explained != nil {
			t.Errorf("%s: explained", body)
		}
	}
}
