package proxy

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/auth"
)

// Explanation tells what would become of a request, and why.
type Explanation struct {
	Allowed    bool           `json:"allowed"`
	Status     int            `json:"status,omitempty"` // of our answer; 0 when the request is forwarded
	Reason     auth.Reason    `json:"reason"`
	Detail     string         `json:"detail,omitempty"`
	Method     string         `json:"method"`
	Host       string         `json:"host"`
	Path       string         `json:"path,omitempty"` // canonical; empty when there is none
	ClientIP   string         `json:"client_ip,omitempty"`
	Route      string         `json:"route,omitempty"`
	Pattern    string         `json:"pattern,omitempty"`
	NearMisses []NearMiss     `json:"near_misses"` // other routes for the path, and why not they
	Steps      []auth.Step    `json:"steps"`
	APIKeyID   string         `json:"api_key_id,omitempty"`
	Subject    string         `json:"sub,omitempty"`
	RenewalDue bool           `json:"renewal_due"`
	Upstreams  []string       `json:"upstreams,omitempty"` // those that the request can go to
	Forwarded  string         `json:"forwarded,omitempty"` // the path that goes there
	Removed    []string       `json:"removed"`             // headers of the request that do not
	Added      []HeaderChange `json:"added"`
}

// NearMiss is a route that a request could have been meant for.
type NearMiss struct {
	Route   string `json:"route"`
	Pattern string `json:"pattern"`
	Why     string `json:"why"`
}

// HeaderChange is a header that we set.
type HeaderChange struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Explain goes the way of a request up to its forwarding, by the code that
// requests go through, and tells of each step. Nothing is sent, remembered or
// counted. The request's RemoteAddr may be empty: then it is no trusted proxy's.
func (s *State) Explain(r *http.Request, now time.Time) Explanation {
	x := newExchange(s, r, now)
	e := Explanation{
		Method: r.Method, Host: r.Host,
		NearMisses: []NearMiss{}, Steps: []auth.Step{}, Removed: []string{}, Added: []HeaderChange{},
	}
	if x.client.IsValid() {
		e.ClientIP = x.client.String()
	}
	p := x.admit()
	e.Path = x.path.escaped
	if e.Path != "" {
		e.NearMisses = x.nearMisses()
	}
	if p != nil {
		return e.denied(p)
	}
	e.Route, e.Pattern = x.route.Name, x.route.Pattern
	credentials, p := x.credentials()
	if p != nil {
		return e.denied(p)
	}
	x.decision, e.Steps = s.gate.Explain(r.Context(), x.route.Policy, credentials, now)
	e.APIKeyID = x.decision.Principal.APIKeyID
	if t := x.decision.Principal.Token; t != nil {
		e.Subject = t.Subject()
	}
	if x.decision.Reason != auth.OK {
		return e.denied(&problem{reason: x.decision.Reason})
	}
	if p := x.limit(); p != nil {
		return e.denied(p)
	}
	e.Allowed, e.Reason, e.RenewalDue = true, auth.OK, x.decision.RenewalDue
	if x.route.Local != nil {
		return e // nothing is forwarded
	}
	for _, u := range x.route.Upstreams {
		e.Upstreams = append(e.Upstreams, u.URL.String())
	}
	_, e.Forwarded = x.outboundPath()
	e.compare(r.Header, x.outboundHeader())
	return e
}

func (e Explanation) denied(p *problem) Explanation {
	e.Reason, e.Detail, e.Status = p.reason, p.detail, p.status
	if e.Status == 0 {
		e.Status = p.reason.Status()
	}
	return e
}

// compare notes how the upstream's header differs from the request's. Of what
// was removed only the name is told: it can be a secret.
func (e *Explanation) compare(in, out http.Header) {
	for name, values := range in {
		if !slices.Equal(values, out[name]) {
			e.Removed = append(e.Removed, name)
		}
	}
	for name, values := range out {
		if !slices.Equal(values, in[name]) {
			e.Added = append(e.Added, HeaderChange{name, strings.Join(values, ", ")})
		}
	}
	slices.Sort(e.Removed)
	slices.SortFunc(e.Added, func(a, b HeaderChange) int { return strings.Compare(a.Name, b.Name) })
}

// nearMisses asks every other route whether it would take the request if it
// were alone, and if not so, whether its own method and host would do it.
func (x *Exchange) nearMisses() []NearMiss {
	misses := []NearMiss{}
	for _, s := range x.state.table.routes {
		if s == x.route {
			continue
		}
		alone, err := NewTable([]*Route{s.Route})
		if err != nil {
			continue // cannot be: it is in a table already
		}
		method, host, path := splitPattern(s.pattern)
		matches := func(method, host string) bool {
			_, _, reason := alone.match(method, host, x.path)
			return reason == auth.OK
		}
		var why string
		switch {
		case matches(x.in.Method, x.in.Host):
			why = "the route that was chosen is more specific"
		case matches(method, x.in.Host):
			why = "the method is not " + method
		case matches(x.in.Method, host):
			why = "the host is not " + host
		case matches(method, host):
			why = "method and host are not " + method + " " + host
		case x.route == nil && firstSegment(path) == firstSegment(x.path.decoded):
			why = "the path does not match"
		default:
			continue
		}
		misses = append(misses, NearMiss{s.Name, s.Pattern, why})
	}
	return misses
}

// firstSegment is a path up to its second slash.
func firstSegment(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first
}
