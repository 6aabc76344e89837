package proxy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/auth"
)

func TestCanonicalPath(t *testing.T) {
	for _, c := range []struct{ in, escaped, decoded string }{
		{"/", "/", "/"},
		{"http://host", "/", "/"},
		{"http://host?q", "/", "/"},
		{"/a/b.c/...", "/a/b.c/...", "/a/b.c/..."},
		{"/%61dmin/%7Euser", "/admin/~user", "/admin/~user"},
		{"/%4f%4F%49%59%50", "/OOIYP", "/OOIYP"},
		{"/a%2cb%2Cc", "/a%2Cb%2Cc", "/a,b,c"},
		{"/a!b'(c)*", "/a!b'(c)*", "/a!b'(c)*"},
		{"/a%21b", "/a%21b", "/a!b"},
		{"/a%20b", "/a%20b", "/a b"},
		{"/a%20b/", "/a%20b/", "/a b/"},
		{"/a;v=1/b%20c", "/a;v=1/b%20c", "/a;v=1/b c"},
		{"/caf%c3%a9", "/caf%C3%A9", "/café"},
		{"/a%3fb%23c%3bd", "/a%3Fb%23c%3Bd", "/a?b#c;d"},
		{"/a|b{c}[d]", "/a%7Cb%7Bc%7D%5Bd%5D", "/a|b{c}[d]"},
		{"/100%25", "/100%25", "/100%"},
		{"/100%25zz", "/100%25zz", "/100%zz"},
		{"/100%25z2", "/100%25z2", "/100%z2"},
		{"/100%252z", "/100%252z", "/100%2z"},
		{"/a;jsessionid=1", "/a;jsessionid=1", "/a;jsessionid=1"},
		{"/;jsessionid=1", "/;jsessionid=1", "/;jsessionid=1"},
		{"/.well-known/x", "/.well-known/x", "/.well-known/x"},
		{"/a/..b/.c/d..", "/a/..b/.c/d..", "/a/..b/.c/d.."},
	} {
		u, err := url.ParseRequestURI(c.in)
		if err != nil {
			t.Fatal(err)
		}
		got, fault := canonicalPath(u)
		if fault != "" || got.escaped != c.escaped || got.decoded != c.decoded {
			t.Errorf("%s: %+v %q, want %q %q", c.in, got, fault, c.escaped, c.decoded)
		}
		// What is sent must be what was matched.
		if sent := (&url.URL{Path: got.decoded, RawPath: got.escaped}).EscapedPath(); sent != c.escaped {
			t.Errorf("%s: %s would be sent, not %s", c.in, sent, c.escaped)
		}
	}
}

// ambiguous are paths that two servers could read in two ways, by the row of
// the threat.
var ambiguous = map[string][]string{
	"P01": {"/pub/../admin", "/pub/./admin", "/..", "/.", "/a/..", "/../"},
	"P02": {"/pub/%2e%2e/admin", "/pub/%2E./admin", "/pub/.%2e/admin", "/%2e/admin", "/a/%2e%2E"},
	"P03": {
		"/pub%2fadmin", "/pub%2Fadmin", "/pub%5cadmin", "/pub%5Cadmin", `/pub\admin`, `/pub/..\admin`, "/pub%00", "/pub%0d%0a", "/pub%7f",
		"/pub/%252e%252e/admin", "/pub%252fadmin", "/100%25-%252e", "/pub%25%32%66admin", "/%2525%32e", `/a%2fb{`, `/pub%2f..%2fadmin"`, "/%ff", "/%c0%ae%c0%ae/", "/%ed%a0%80",
	},
	"P04": {"//admin", "/pub//admin", "///", "/a//", "//"},
	"P05": {"/pub/..;/admin", "/pub/..;x=y/admin", "/pub/..%3b/admin", "/pub/%2e%2e%3Bx/admin", "/.;/a", "/;/admin", "/%3bx/admin"},
}

func TestP01DotSegments(t *testing.T)     { testAmbiguous(t, "P01") }
func TestP02EncodedDots(t *testing.T)     { testAmbiguous(t, "P02") }
func TestP03EncodedSlash(t *testing.T)    { testAmbiguous(t, "P03") }
func TestP04DoubleSlash(t *testing.T)     { testAmbiguous(t, "P04") }
func TestP05MatrixParameter(t *testing.T) { testAmbiguous(t, "P05") }

func testAmbiguous(t *testing.T, row string) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("pub", "/pub/", auth.None), route("all", "/", auth.None)}
	})
	for _, target := range ambiguous[row] {
		g.t = t
		a := g.raw("GET " + target + " HTTP/1.1\r\nHost: gw.example\r\n\r\n")
		if a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", target, a.StatusCode, a.body)
		}
		g.refused(a, http.StatusBadRequest, "request_malformed")
		if !a.Close {
			t.Errorf("%s: the connection stays open", target)
		}
	}
}

func TestPathWithoutRawPathIsNotTrusted(t *testing.T) {
	// For a RawPath that Go finds invalid EscapedPath re-encodes Path, in which
	// the encoded slash is a slash.
	u := must(url.ParseRequestURI(`/pub%2Fadmin"x`))
	if p, fault := canonicalPath(u); fault == "" {
		t.Errorf("canonical path %+v", p)
	}
}

func TestCanonicalPathRefusesOtherTargets(t *testing.T) {
	for _, u := range []*url.URL{{Opaque: "x"}, {Path: "*"}, {Path: "a"}, {Path: "/a", RawPath: "/%zz"}, {Path: "/a", RawPath: "/%4"}, {Path: "/a", RawPath: "/%4g"}, {Path: "/a", RawPath: "/%g4"}, {Path: "/a", RawPath: "/%k4"}, {Path: "/a", RawPath: "/%"}, {RawPath: "/\xc3\xa9", Path: "/é"}, {RawPath: "/a\x01", Path: "/a\x01"}} {
		if p, fault := canonicalPath(u); fault == "" {
			t.Errorf("%#v: %+v", u, p)
		}
	}
	for _, c := range "/:@G`g+" { // beside the hex digits
		if p, fault := canonicalPath(&url.URL{Path: "/a", RawPath: "/%4" + string(c)}); fault == "" {
			t.Errorf("%%4%c: %+v", c, p)
		}
	}
}

func TestCanonicalPathAllocatesNothing(t *testing.T) {
	u := must(url.ParseRequestURI("/api/v1/orders/1234?x=y"))
	if n := testing.AllocsPerRun(100, func() { _, _ = canonicalPath(u) }); n != 0 {
		t.Errorf("%v allocations for a plain path", n)
	}
}

func FuzzCanonicalPath(f *testing.F) {
	for _, rows := range ambiguous {
		for _, p := range rows {
			f.Add(p)
		}
	}
	for _, p := range []string{"/", "/a%21b", "/caf%c3%a9", "/a|b", "/100%25", "/%25%32%65", "/a;b=c", "/%2525", "/a%2", "http://x/y"} {
		f.Add(p)
	}
	var routes []*Route
	for _, p := range []string{"/", "/a/", "/b/{x}/b", "/é", "/ab", "/c/{x}/{$}"} {
		routes = append(routes, &Route{Name: p, Pattern: p, Policy: &auth.Policy{}, Upstreams: testUpstream})
	}
	table := must(NewTable(routes))
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		p, fault := canonicalPath(u)
		if fault != "" {
			return
		}
		if u.Path != "" && p.decoded != u.Path {
			t.Errorf("%q: decodes to %q, net/url says %q", target, p.decoded, u.Path)
		}
		in := table.standIn(p)
		want, _, _ := table.match("GET", "h", p)
		if got, _, _ := table.match("GET", "h", in); got != want {
			t.Errorf("%q: the route is %s, and that of its stand-in %q is %s", target, want.Name, in.escaped, got.Name)
		}
		if d, err := url.PathUnescape(p.escaped); err != nil || d != p.decoded {
			t.Errorf("%q: %+v is not one path: %q %v", target, p, d, err)
		}
		again, fault := canonicalPath(&url.URL{Path: p.decoded, RawPath: p.escaped})
		if fault != "" || again != p {
			t.Errorf("%q: not idempotent: %+v, then %+v %q", target, p, again, fault)
		}
		if sent := (&url.URL{Path: p.decoded, RawPath: p.escaped}).EscapedPath(); sent != p.escaped {
			t.Errorf("%q: %q would be sent for %q", target, sent, p.escaped)
		}
		for _, bad := range []string{"//", `\`, "%2F", "%5C", "%00", "%2E", "%2e", "/../", "/./", "%7F"} {
			if strings.Contains(p.escaped, bad) {
				t.Errorf("%q: %q contains %q", target, p.escaped, bad)
			}
		}
		if twice, err := url.PathUnescape(p.decoded); err == nil && twice != p.decoded && !strings.Contains(target, "%25") {
			// Decoding twice can only matter where a percent sign was encoded.
			t.Errorf("%q: decodes twice to %q", target, twice)
		}
		for segment := range strings.SplitSeq(p.decoded, "/") {
			if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
				t.Errorf("%q: segment %q", target, segment)
			}
		}
	})
}
