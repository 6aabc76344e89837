package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/auth"
)

// Route is where requests that match a pattern go, and on what terms.
type Route struct {
	Name              string
	Pattern           string // [METHOD ][HOST]/path, as net/http patterns
	Policy            *auth.Policy
	Upstreams         []Upstream
	KeepAuthorization bool // forward the Authorization header, whatever it holds
	// StripPrefix is taken off the path that is forwarded: whole segments of
	// unreserved characters with which the pattern's path begins. Empty: none.
	StripPrefix string
	WebSocket   bool // let `Upgrade: websocket` through
	// Timeout bounds the wait for the upstream's final response header, counted
	// from the last byte of the request's body. 0: no bound.
	Timeout time.Duration
	// StreamIdle ends a WebSocket, or an answer that can take long, through which
	// nothing has passed either way for so long. 0: no bound.
	StreamIdle time.Duration
	// TLS is how https upstreams are spoken to; nil: by the system's authorities.
	TLS          *UpstreamTLS
	MaxBodyBytes int64 // 0: no limit
	// Local answers the requests in place of an upstream. Then Pattern is one
	// path, taken as it is, for every method and host, and no other pattern is
	// asked; what has to do with upstreams is empty.
	Local Local
}

// Local answers requests here. It is told of those too that the policy refuses,
// so that every answer has its form; c.Decision.Reason says why. It sets the
// whole header but X-Request-Id. Errors from reading the body have an
// auth.Reason in them.
type Local interface {
	ServeLocal(w http.ResponseWriter, r *http.Request, c auth.Caller) auth.Outcome
}

// Upstream is one of the servers behind a route.
type Upstream struct {
	URL    *url.URL // http, https or h2c, a host, nothing else
	Weight int      // share of the requests; 0 counts as 1
}

// UpstreamTLS is how an upstream is spoken to by TLS.
type UpstreamTLS struct {
	Config *tls.Config
	ID     string // one and the same for the same content, so that connections outlive a reload
}

// served is a Route made ready. It is what the ServeMux holds.
type served struct {
	*Route
	pattern  string // with the host in lower case
	observer Observer
	balancer *balancer
	way      atomic.Pointer[way] // nil before the first request
}

// ServeHTTP is never called: the ServeMux is only asked which route matches.
func (*served) ServeHTTP(http.ResponseWriter, *http.Request) {}

// Table finds the route of a request, by the rules of http.ServeMux: the most
// specific pattern wins. Its answers (redirects above all) are never sent.
type Table struct {
	mux       *http.ServeMux
	routes    []*served
	byPattern map[string]*served
	local     map[string]*served // by path
	methods   []string           // that requests may have
	longest   int                // path of a pattern, in bytes
	probes    sync.Pool          // of *http.Request, to ask the mux with
}

// standardMethods are allowed without being named in a pattern.
var standardMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
	http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// NewTable returns a Table of the routes. The error names every route that
// cannot be in it, and why.
func NewTable(routes []*Route) (*Table, error) {
	t := &Table{
		mux:       http.NewServeMux(),
		byPattern: make(map[string]*served, len(routes)),
		local:     make(map[string]*served),
		methods:   slices.Clone(standardMethods),
	}
	t.probes.New = func() any { return &http.Request{URL: new(url.URL)} }
	var errs []error
	for _, r := range routes {
		add := t.add
		if r.Local != nil {
			add = t.addLocal
		}
		if err := add(r); err != nil {
			errs = append(errs, fmt.Errorf("route %q: %w", r.Name, err))
		}
	}
	errs = append(errs, t.shadowed()...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Table) add(r *Route) error {
	method, host, path := splitPattern(r.Pattern)
	if method == http.MethodConnect || method == http.MethodTrace {
		return fmt.Errorf("pattern %q: the method %s is never forwarded", r.Pattern, method)
	}
	if r.Policy == nil {
		return errors.New("a route needs a policy")
	}
	if !strippable(r.StripPrefix, path) {
		return fmt.Errorf("strip prefix %q: want whole segments of letters, digits and -._~ with which the path of pattern %q begins", r.StripPrefix, r.Pattern)
	}
	b, err := newBalancer(r.Upstreams)
	if err != nil {
		return err
	}
	s := &served{Route: r, pattern: strings.TrimLeft(method+" "+strings.ToLower(host)+path, " "), balancer: b}
	if err := register(t.mux, s); err != nil {
		for _, other := range t.routes {
			if conflict(s, other) {
				return fmt.Errorf("pattern %q matches requests that %q of route %q matches too, and neither is more specific: make one of them so", r.Pattern, other.Pattern, other.Name)
			}
		}
		return fmt.Errorf("pattern %q: %w", r.Pattern, err)
	}
	t.routes = append(t.routes, s)
	t.byPattern[s.pattern] = s
	t.longest = max(t.longest, len(path))
	if method != "" && !slices.Contains(t.methods, method) {
		t.methods = append(t.methods, method)
	}
	return nil
}

func (t *Table) addLocal(r *Route) error {
	path, ambiguous := canonicalPath(&url.URL{Path: r.Pattern})
	switch {
	case r.Policy == nil:
		return errors.New("a route needs a policy")
	case ambiguous != "" || path.escaped != r.Pattern || strings.HasSuffix(r.Pattern, "/"):
		return fmt.Errorf("path %q: want one exact path, as in /oauth2/token", r.Pattern)
	case t.local[r.Pattern] != nil:
		return fmt.Errorf("path %q is served by %q already", r.Pattern, t.local[r.Pattern].Name)
	}
	s := &served{Route: r, pattern: r.Pattern}
	t.routes = append(t.routes, s)
	t.local[r.Pattern] = s
	return nil
}

// shadowed are the routes that ask for a path that is answered here: they would
// never, or for some methods only, get what they are there for.
func (t *Table) shadowed() (errs []error) {
	for _, s := range t.routes {
		_, _, path := splitPattern(s.pattern)
		if l := t.local[strings.TrimSuffix(path, "{$}")]; l != nil && s.Local == nil {
			errs = append(errs, fmt.Errorf("route %q: pattern %q is a path that %q answers here: give one of the two another path", s.Name, s.Pattern, l.Name))
		}
	}
	return errs
}

// splitPattern takes a pattern apart, leaving what is wrong for ServeMux to say.
func splitPattern(pattern string) (method, host, path string) {
	rest := pattern
	if i := strings.IndexAny(pattern, " \t"); i >= 0 {
		method, rest = pattern[:i], strings.TrimLeft(pattern[i:], " \t")
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return method, rest[:i], rest[i:]
	}
	return method, rest, ""
}

// strippable reports whether prefix can be taken off every canonical path that
// matches a pattern with that path. Other characters could be in the path as an
// escape, and would stay.
func strippable(prefix, path string) bool {
	if prefix == "" {
		return true
	}
	for i := 0; i < len(prefix); i++ {
		if prefix[i] != '/' && !unreserved[prefix[i]] {
			return false
		}
	}
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && prefix[0] == '/' && !strings.HasSuffix(prefix, "/") && (rest == "" || rest[0] == '/')
}

// register adds a route; ServeMux panics with what is wrong with its pattern.
func register(mux *http.ServeMux, s *served) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	mux.Handle(s.pattern, s)
	return nil
}

// conflict reports whether two patterns, each good by itself, cannot be in one
// table.
func conflict(a, b *served) bool {
	both := http.NewServeMux()
	return register(http.NewServeMux(), a) == nil && register(both, b) == nil && register(both, a) != nil
}

// match returns the route of a request. Without one the reason says why:
// RouteNotFound, or MethodNotAllowed together with the methods that are.
//
// ServeMux takes a read lock, for which nothing ever waits because nothing ever
// writes, and makes a handful of small allocations, half a microsecond in all:
// less than a matcher of our own would cost its readers.
func (t *Table) match(method, host string, p canonical) (s *served, allow string, reason auth.Reason) {
	if len(t.local) > 0 {
		if s := t.local[p.escaped]; s != nil {
			return s, "", auth.OK
		}
	}
	probe := t.probes.Get().(*http.Request)
	defer t.probes.Put(probe)
	probe.Method, probe.Host = method, normalHost(host)
	if len(p.escaped) > longPath {
		p = t.standIn(p)
	}
	probe.URL.Path, probe.URL.RawPath = p.decoded, p.escaped
	handler, pattern := t.mux.Handler(probe)
	if s, ok := handler.(*served); ok {
		return s, "", auth.OK
	}
	// A pattern without its handler: ServeMux would redirect /x to /x/, because
	// only /x/ is there. The route of /x/ serves /x as it came.
	if s := t.byPattern[pattern]; s != nil {
		return s, "", auth.OK
	}
	// It has answers of its own for 404 and for 405, which differ in what they
	// write only.
	var answer refusal
	handler.ServeHTTP(&answer, probe)
	if answer.status == http.StatusMethodNotAllowed {
		return nil, answer.Header().Get("Allow"), auth.MethodNotAllowed
	}
	return nil, "", auth.RouteNotFound
}

// longPath is from where a path is worth a stand-in, in bytes.
const longPath = 1 << 10

// standIn is a path that has the same route: of segments that are longer than any
// pattern, which only wildcards match, it has no more than the beginning. ServeMux
// makes five copies of a path, and a stranger's can be of many KiB.
func (t *Table) standIn(p canonical) canonical {
	most := 3 * (t.longest + 2) // decoded, and less half an escape, it is still longer than any pattern
	longer := false
	for segment := range strings.SplitSeq(p.escaped[1:], "/") {
		longer = longer || len(segment) > most
	}
	if !longer {
		return p
	}
	var b strings.Builder
	for segment := range strings.SplitSeq(p.escaped[1:], "/") {
		if len(segment) > most {
			segment = segment[:most]
			if i := strings.LastIndexByte(segment, '%'); i >= most-2 {
				segment = segment[:i]
			}
		}
		b.WriteByte('/')
		b.WriteString(segment)
	}
	decoded, _ := url.PathUnescape(b.String()) // whose escapes are whole
	return canonical{b.String(), decoded}
}

// refusal records what ServeMux answers by itself.
type refusal struct {
	header http.Header
	status int
}

func (a *refusal) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header)
	}
	return a.header
}
func (a *refusal) Write(b []byte) (int, error) { return len(b), nil }
func (a *refusal) WriteHeader(status int)      { a.status = status }

// normalHost is the host without port and trailing dot, in lower case (RFC 9110
// §4.2.3), the form in which patterns have it. An IPv6 address keeps its
// brackets.
func normalHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
