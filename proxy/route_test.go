package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

var testUpstream = []Upstream{{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:9"}}}

func newTestTable(t *testing.T, patterns ...string) *Table {
	t.Helper()
	var routes []*Route
	for _, p := range patterns {
		routes = append(routes, &Route{Name: p, Pattern: p, Policy: &auth.Policy{}, Upstreams: testUpstream})
	}
	table, err := NewTable(routes)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestMatch(t *testing.T) {
	table := newTestTable(t, "/", "/orders/", "GET /orders/{id}", "POST /orders/{id}/pay", "Shop.Example/orders/", "/x/{rest...}",
		"PURGE /cache/", "only.example/host", "only.example/tree/", "/admin", "GET /get/", "v6.example/", "[::1]/six")
	for _, c := range []struct{ method, host, path, want string }{
		{"GET", "h", "/", "/"},
		{"GET", "h", "/orders/", "/orders/"},
		{"GET", "h", "/orders", "/orders/"}, // net/http would redirect
		{"GET", "h", "/orders/7", "GET /orders/{id}"},
		{"HEAD", "h", "/orders/7", "GET /orders/{id}"},
		{"PUT", "h", "/orders/7", "/orders/"},
		{"POST", "h", "/orders/7/pay", "POST /orders/{id}/pay"},
		{"GET", "shop.example", "/orders/7", "Shop.Example/orders/"},
		{"GET", "SHOP.example.:8443", "/orders/7", "Shop.Example/orders/"},
		{"GET", "shop.example:80", "/orders", "Shop.Example/orders/"},
		{"GET", "shop.example.evil", "/orders/", "/orders/"},
		{"GET", "[::1]:8080", "/six", "[::1]/six"},
		{"GET", "[::1]", "/six", "[::1]/six"},
		{"GET", "h", "/x", "/x/{rest...}"},
		{"GET", "h", "/x/a/b", "/x/{rest...}"},
		{"GET", "h", "/admin", "/admin"},
		{"GET", "h", "/administrator", "/"}, // P07
		{"GET", "h", "/ADMIN", "/"},         // P06
		{"GET", "h", "/admin/", "/"},
		{"PURGE", "h", "/cache/x", "PURGE /cache/"},
		{"GET", "h", "/get", "GET /get/"},
		{"POST", "h", "/get", "/"},
		{"GET", "only.example", "/tree", "only.example/tree/"},
	} {
		s, _, reason := table.match(c.method, c.host, canonical{c.path, c.path})
		if reason != auth.OK || s.Name != c.want {
			t.Errorf("%s %s%s: %v %v, want %s", c.method, c.host, c.path, reason, s, c.want)
		}
	}
}

func TestMatchRefuses(t *testing.T) {
	table := newTestTable(t, "GET /a", "POST /a", "DELETE /tree/", "only.example/host", "/exact/{$}")
	for _, c := range []struct {
		method, host, path string
		want               auth.Reason
		allow              string
	}{
		{"PUT", "h", "/a", auth.MethodNotAllowed, "GET, HEAD, POST"},
		{"GET", "h", "/tree", auth.MethodNotAllowed, "DELETE"},
		{"GET", "h", "/a/", auth.RouteNotFound, ""},
		{"GET", "h", "/b", auth.RouteNotFound, ""},
		{"GET", "h", "/host", auth.RouteNotFound, ""},
		{"GET", "h", "/exact/x", auth.RouteNotFound, ""},
	} {
		s, allow, reason := table.match(c.method, c.host, canonical{c.path, c.path})
		if s != nil || reason != c.want || allow != c.allow {
			t.Errorf("%s %s: %v %v %q", c.method, c.path, s, reason, allow)
		}
	}
}

func TestNewTableRefuses(t *testing.T) {
	good := func(name, pattern string) *Route {
		return &Route{Name: name, Pattern: pattern, Policy: &auth.Policy{}, Upstreams: testUpstream}
	}
	with := func(change func(*Route)) []*Route {
		r := good("r", "/r/")
		change(r)
		return []*Route{r}
	}
	upstream := func(s string) []Upstream { return []Upstream{{URL: must(url.Parse(s))}} }
	for _, c := range []struct {
		routes []*Route
		want   []string
	}{
		{[]*Route{good("a", "/x/{id}"), good("b", "/x/{name}")}, []string{`route "b"`, `of route "a"`}},
		{[]*Route{good("a", "/x/"), good("b", "/x/")}, []string{`route "b"`, `of route "a"`}},
		{[]*Route{good("a", "Host.example/x/"), good("b", "host.EXAMPLE/x/")}, []string{`route "b"`, `of route "a"`}},
		{[]*Route{good("c", "/y/"), good("a", "/x/{id}"), good("b", "/x/{name}")}, []string{`route "b"`, `of route "a"`}},
		{[]*Route{good("a", "/x/"), good("b", "/y/{")}, []string{`route "b": pattern "/y/{": `}},
		{[]*Route{good("a", "x/{"), good("b", "")}, []string{`route "a"`, `route "b"`}},
		{[]*Route{good("a", "CONNECT /")}, []string{"never forwarded"}},
		{[]*Route{good("a", "TRACE /")}, []string{"never forwarded"}},
		{with(func(r *Route) { r.Policy = nil }), []string{"policy"}},
		{with(func(r *Route) { r.Upstreams = nil }), []string{"upstream"}},
		{with(func(r *Route) { r.Upstreams = upstream("ftp://h") }), []string{"upstream 1"}},
		{with(func(r *Route) { r.Upstreams = upstream("http://h/base") }), []string{"upstream 1"}},
		{with(func(r *Route) { r.Upstreams = upstream("http://u:p@h") }), []string{"upstream 1"}},
		{with(func(r *Route) { r.Upstreams = upstream("http:///") }), []string{"upstream 1"}},
		{with(func(r *Route) { r.Upstreams = upstream("http://") }), []string{"upstream 1"}},
		{with(func(r *Route) { r.Upstreams = []Upstream{{}} }), []string{"upstream 1"}},
		{with(func(r *Route) { r.Upstreams = []Upstream{{URL: testUpstream[0].URL, Weight: -1}} }), []string{"negative"}},
		{with(func(r *Route) {
			r.Upstreams = []Upstream{{URL: testUpstream[0].URL, Weight: 9999}, {URL: testUpstream[0].URL, Weight: 2}}
		}), []string{"weights"}},
		{with(func(r *Route) { r.StripPrefix = "/other" }), []string{"strip prefix"}},
		{with(func(r *Route) { r.StripPrefix = "/r/" }), []string{"strip prefix"}},
		{with(func(r *Route) { r.StripPrefix = "r" }), []string{"strip prefix"}},
		{with(func(r *Route) { r.Pattern, r.StripPrefix = "/rest/", "/r" }), []string{"strip prefix"}},
		{with(func(r *Route) { r.Pattern, r.StripPrefix = "/a@b/", "/a@b" }), []string{"strip prefix"}},
		{with(func(r *Route) { r.Pattern, r.StripPrefix = "/{t}/x", "/{t}" }), []string{"strip prefix"}},
	} {
		_, err := NewTable(c.routes)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", c.routes[0].Pattern, err, want)
			}
		}
	}
}

func TestP06Case(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("admin", "/admin/", auth.BearerOnly)} })
	g.refused(g.get("/%61dmin/x"), http.StatusUnauthorized, "token_missing")
	g.refused(g.get("/ADMIN/x"), http.StatusNotFound, "route_not_found")
}

func TestP08StripPrefix(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("r", "/api/v1/", auth.None)}
		s.routes[0].StripPrefix = "/api"
	})
	for target, want := range map[string]string{
		"/api/v1/x%2cy": "/v1/x%2Cy", "/api/v1/": "/v1/", "/%61pi/v1/%7e": "/v1/~", "/api/v1/a?b": "/v1/a?b", "/api/v1": "/v1",
	} {
		if a := g.get(target); a.StatusCode != http.StatusOK || g.last().RequestURI != want {
			t.Errorf("%s: %d, upstream got %s, want %s", target, a.StatusCode, g.last().RequestURI, want)
		}
	}
	g.forget()
	g.refused(g.get("/api/../v1/"), http.StatusBadRequest, "request_malformed")
	g.refused(g.get("/api//evil"), http.StatusBadRequest, "request_malformed")
}

func TestStripWholePath(t *testing.T) {
	for _, pattern := range []string{"/api/", "/api"} {
		g := newGateway(t, func(s *setup) {
			s.routes = []*Route{route("r", pattern, auth.None)}
			s.routes[0].StripPrefix = "/api"
		})
		if a := g.get("/api?x"); a.StatusCode != http.StatusOK || g.last().RequestURI != "/?x" {
			t.Errorf("%s: %d, upstream got %s", pattern, a.StatusCode, g.last().RequestURI)
		}
		if e := g.state.Explain(httptest.NewRequest("GET", "/api", nil), time.Now()); e.Forwarded != "/" {
			t.Errorf("%s: explained as %q", pattern, e.Forwarded)
		}
	}
}

func TestP12Host(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("r", "shop.example/", auth.None)} })
	for host, want := range map[string]int{"shop.example": 200, "SHOP.Example.:80": 200, "evil.example": 404, "shop.example.evil": 404, "shop.example..": 404} {
		a := g.raw("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
		if a.StatusCode != want && !(want == 404 && a.StatusCode == 400) {
			t.Errorf("%s: %d, want %d", host, a.StatusCode, want)
		}
		if want == 200 && g.last().Host != host {
			t.Errorf("%s: upstream got %s", host, g.last().Host)
		}
	}
}

func TestP13UnmatchedIsDenied(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("r", "/open/", auth.None)} })
	g.refused(g.get("/other"), http.StatusNotFound, "route_not_found")
	g.refused(g.get("/"), http.StatusNotFound, "route_not_found")
}

func TestP14Method(t *testing.T) {
	g := newGateway(t, nil)
	for _, method := range []string{"get", "GETX", "PRI", "PROPFIND", "TRACE", "CONNECT", "M-SEARCH"} {
		a := g.raw(method + " / HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n")
		g.refused(a, http.StatusMethodNotAllowed, "method_not_allowed")
		if a.Header.Get("Allow") != "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" {
			t.Errorf("%s: Allow is %q", method, a.Header.Get("Allow"))
		}
	}
	if a := g.get("/", "X-Http-Method-Override: DELETE", "X-Method-Override: DELETE"); a.StatusCode != 200 ||
		g.last().Method != "GET" || g.last().Header.Get("X-Http-Method-Override")+g.last().Header.Get("X-Method-Override") != "" {
		t.Errorf("%d %v", a.StatusCode, g.last().Header)
	}
}

func TestP15Connect(t *testing.T) {
	g := newGateway(t, nil)
	g.refused(g.raw("CONNECT gw.example:443 HTTP/1.1\r\nHost: gw.example:443\r\nConnection: close\r\n\r\n"), http.StatusMethodNotAllowed, "method_not_allowed")
	g.refused(g.raw("CONNECT / HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n"), http.StatusMethodNotAllowed, "method_not_allowed")
}

func TestNamedMethodIsAllowed(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("p", "PURGE /", auth.None)} })
	if a := g.raw("PURGE /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); a.StatusCode != 200 || g.last().Method != "PURGE" {
		t.Errorf("%d", a.StatusCode)
	}
	g.forget()
	a := g.get("/x")
	g.refused(a, http.StatusMethodNotAllowed, "method_not_allowed")
	if a.Header.Get("Allow") != "PURGE" {
		t.Errorf("Allow is %q", a.Header.Get("Allow"))
	}
}

func TestP20NoRedirect(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("dir", "/dir/", auth.None), route("all", "/{$}", auth.None)} })
	for target, want := range map[string]int{"/dir": 200, "/dir?x=y": 200, "/dir/": 200, "//evil.example/dir": 400, "/dir/../x": 400, "/x//y": 400, "/%2e%2e//evil": 400, "/dir2": 404, "http://gw.example/": 200} {
		g.forget()
		a := g.get(target)
		if a.StatusCode != want || a.Header.Get("Location") != "" {
			t.Errorf("%s: %d %s", target, a.StatusCode, a.Header.Get("Location"))
		}
		if want == 200 && strings.HasPrefix(target, "/") && g.last().RequestURI != target {
			t.Errorf("%s: upstream got %s", target, g.last().RequestURI)
		}
	}
}

func TestQueryByteForByte(t *testing.T) {
	g := newGateway(t, nil)
	for _, target := range []string{"/?a=1;b=2&c=%zz", "/?", "/x?%", "/?a=b=c&&", "/?q=//../..", "/?" + strings.Repeat("a&", 4000)} {
		if a := g.get(target); a.StatusCode != 200 || g.last().RequestURI != target {
			t.Errorf("%.40s: %d, upstream got %.40s", target, a.StatusCode, g.last().RequestURI)
		}
	}
}

func TestBalancerSpreadsByWeight(t *testing.T) {
	u := func(host string, weight int) Upstream {
		return Upstream{URL: &url.URL{Scheme: "http", Host: host}, Weight: weight}
	}
	b := must(newBalancer([]Upstream{u("a", 50), u("b", 10), u("c", 10)}))
	got, run, longest := map[string]int{}, 0, 0
	for range 700 {
		host := b.next().Host
		if got[host]++; host == "a" {
			run++
		} else {
			run = 0
		}
		longest = max(longest, run)
	}
	if got["a"] != 500 || got["b"] != 100 || got["c"] != 100 || longest > 4 {
		t.Errorf("%v, longest run of a: %d", got, longest)
	}
	if b := must(newBalancer([]Upstream{u("a", 30_000), u("b", 10_000)})); len(b.sequence) != 4 {
		t.Errorf("large weights: %d turns", len(b.sequence))
	}
	if b := must(newBalancer([]Upstream{u("a", 0), u("b", 0)})); len(b.sequence) != 2 {
		t.Errorf("without weights: %v", b.sequence)
	}
}

// A long path's stand-in has its route, wherever it is cut.
func TestJ26LongPathsHaveTheirRoutes(t *testing.T) {
	patterns := []string{
		"/", "/orders/{id}", "/orders/{id}/pay", "/x/{rest...}", "/aaaa/", "/aaaa", "/%C3%A4/{a}/b/{b}", "GET /get/{id}",
		"/%C3%A4%C3%A4%C3%A4%C3%A4", "/äääää", "/ääääääääää",
	}
	table := newTestTable(t, patterns...)
	short := 0
	for _, unit := range []string{"a", "%C3%A4", "aa%C3%A4", "a%25"} {
		for n := 1; n < 40; n++ {
			for _, form := range []string{"/L", "/L/", "/orders/L", "/orders/L/pay", "/orders/L/paid", "/x/L/L", "/L/orders/7", "/aaaa/L", "/aaaaL", "/%C3%A4/L/b/L", "/get/L"} {
				escaped := strings.ReplaceAll(form, "L", strings.Repeat(unit, n))
				decoded := must(url.PathUnescape(escaped))
				p := canonical{escaped, decoded}
				in := table.standIn(p)
				if got := must(url.PathUnescape(in.escaped)); got != in.decoded {
					t.Fatalf("%s: %q is not %q", escaped, got, in.decoded)
				}
				if len(in.escaped) < len(escaped) {
					short++
				}
				for _, method := range []string{"GET", "POST"} {
					want, _, reason := table.match(method, "h", p)
					got, _, gotReason := table.match(method, "h", in)
					if got != want || gotReason != reason {
						t.Fatalf("%s %s: %v %v, its stand-in %s: %v %v", method, escaped, want, reason, in.escaped, got, gotReason)
					}
				}
			}
		}
	}
	if short == 0 {
		t.Error("no path has a shorter stand-in")
	}
	var before, after runtime.MemStats
	p := canonicalOf(t, "/orders/"+strings.Repeat("%c3%a4", 1300))
	runtime.ReadMemStats(&before)
	for range 50 {
		table.match("GET", "h", p)
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / 50; n > 4<<10 {
		t.Errorf("%d bytes for the route of a path of 8 KiB", n)
	}
	many := canonicalOf(t, strings.Repeat("/p", 4000))
	if n := testing.AllocsPerRun(20, func() { table.standIn(many) }); n > 0 {
		t.Error("many short segments have a stand-in")
	}
}

func canonicalOf(t *testing.T, path string) canonical {
	t.Helper()
	p, fault := canonicalPath(must(url.Parse(path)))
	if fault != "" {
		t.Fatal(fault)
	}
	return p
}
