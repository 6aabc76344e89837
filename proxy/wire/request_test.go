package wire

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

// change makes another request of a good one; status 0: it stays good.
type change struct {
	name   string
	change func(*http.Request)
	status int
}

// checked asks CheckRequest of each changed request. HTTP/2 has no byte stage:
// what its parser lets through is for CheckRequest to find.
func checked(t *testing.T, rows ...change) {
	t.Helper()
	for _, row := range rows {
		r := &http.Request{Method: "GET", ProtoMajor: 2, RequestURI: "/a?b", Host: "h:443", Header: http.Header{"A": {"b"}, "Host": {"H:443"}}}
		row.change(r)
		f := CheckRequest(r)
		if row.status == 0 && f != nil || row.status != 0 && (f == nil || f.Status != row.status || f.Reason != statusReason[row.status]) {
			t.Errorf("%s: fault %+v, want %d", row.name, f, row.status)
		}
	}
}

func TestP18PseudoHeaders(t *testing.T) {
	checked(t,
		change{"no slash", func(r *http.Request) { r.RequestURI = "a" }, 400},
		change{"empty", func(r *http.Request) { r.RequestURI = "" }, 400},
		change{"authority and host", func(r *http.Request) { r.Header["Host"] = []string{"evil"} }, 400},
		change{"second host", func(r *http.Request) { r.Header["Host"] = []string{"h:443", "evil"} }, 400},
	)
}

func TestCheckRequest(t *testing.T) {
	many := make([]string, maxHeaderLines)
	checked(t,
		change{"good", func(*http.Request) {}, 0},
		change{"P12 no host", func(r *http.Request) { r.Host = "" }, 400},
		change{"P12 userinfo", func(r *http.Request) { r.Host = "u@h" }, 400},
		change{"HTTP/1.0 without host", func(r *http.Request) { r.ProtoMajor, r.Host = 1, ""; r.Header.Del("Host") }, 0},
		change{"HTTP/1.1 without host", func(r *http.Request) { r.ProtoMajor, r.ProtoMinor, r.Host = 1, 1, ""; r.Header.Del("Host") }, 400},
		change{"HTTP/1.1 absolute-form", func(r *http.Request) { r.ProtoMajor, r.RequestURI = 1, "http://h:443/a" }, 0},
		change{"P14 lower case", func(r *http.Request) { r.Method = "get" }, 405},
		change{"P15 CONNECT", func(r *http.Request) { r.Method, r.RequestURI = "CONNECT", "h:443" }, 405},
		change{"T10 OPTIONS *", func(r *http.Request) { r.Method, r.RequestURI = "OPTIONS", "*" }, 405},
		change{"T09 OPTIONS of a path", func(r *http.Request) { r.Method = "OPTIONS" }, 0},
		change{"HTTP/1.0 with a bad host", func(r *http.Request) { r.ProtoMajor, r.Host = 1, "u@h"; r.Header.Del("Host") }, 400},
		change{"HTTP/2 absolute-form", func(r *http.Request) { r.RequestURI = "http://h:443/a" }, 400},
		change{"T10 GET *", func(r *http.Request) { r.RequestURI = "*" }, 400},
		change{"P09 fragment", func(r *http.Request) { r.RequestURI = "/a#b" }, 400},
		change{"non-ASCII", func(r *http.Request) { r.RequestURI = "/\xff" }, 400},
		change{"D09 query", func(r *http.Request) { r.RequestURI = "/?" + strings.Repeat("q", maxQueryBytes+1) }, 414},
		change{"D02 lines", func(r *http.Request) { r.Header["B"] = many[1:] }, 431},
		change{"D02 lines at the bound", func(r *http.Request) { r.Header["B"] = many[2:] }, 0},
		change{"H03 underscore", func(r *http.Request) { r.Header["X_User_Id"] = []string{"root"} }, 400},
		change{"H04 dot", func(r *http.Request) { r.Header["X.user.id"] = []string{"root"} }, 400},
		change{"S09 Expect", func(r *http.Request) { r.Header["Expect"] = []string{"x"} }, 400},
		change{"S09 Expect twice", func(r *http.Request) { r.Header["Expect"] = []string{"100-continue", "100-continue"} }, 400},
		change{"S09 Expect 100-continue", func(r *http.Request) { r.Header["Expect"] = []string{"100-continue"} }, 0},
		change{"version", func(r *http.Request) { r.ProtoMajor = 3 }, 505},
	)
}

// What the connection found stands, and nothing is looked at twice.
func TestCheckRequestOfCheckedConnection(t *testing.T) {
	c := scripted(t, testConfig)
	r := (&http.Request{}).WithContext(ConnContext(context.Background(), c))
	if f := CheckRequest(r); f != nil {
		t.Errorf("fault %+v", f)
	}
	want := malformed("x")
	c.fault.Store(want)
	if f := CheckRequest(r); f != want {
		t.Errorf("fault %+v", f)
	}
}
