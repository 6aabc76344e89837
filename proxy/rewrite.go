package proxy

import (
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strings"
	"sync"
)

// rewrite makes the upstream's request. The URL that it gets is the upstream's
// own and the header is empty (see [Exchange.forward]): nothing of the client's
// is forwarded that is not put there here.
func rewrite(pr *httputil.ProxyRequest) {
	x := exchangeOf(pr.Out.Context())
	x.rewritten = true
	u := pr.Out.URL
	u.Path, u.RawPath = x.outboundPath()
	u.RawQuery, u.ForceQuery = x.in.URL.RawQuery, x.in.URL.ForceQuery // byte for byte
	pr.Out.Header = x.outboundHeader()
}

// outboundPath is the canonical path without the route's prefix, decoded and as
// it goes out. Both are set together: of a URL whose two paths differ net/url
// would send one of its own making.
func (x *Exchange) outboundPath() (path, raw string) {
	// The prefix has no escapes (see strippable), so it is the same in both.
	path = strings.TrimPrefix(x.path.decoded, x.route.StripPrefix)
	raw = strings.TrimPrefix(x.path.escaped, x.route.StripPrefix)
	if raw == "" {
		return "/", "/"
	}
	return path, raw
}

// outboundHeader copies what of the request's header may reach the upstream,
// and adds what we say. The copy shares the values, which neither side changes.
func (x *Exchange) outboundHeader() http.Header {
	out := headers.Get().(http.Header)
	var dropped treatment = dropFromRequest
	if !x.trusted {
		dropped |= dropUnlessTrusted
	}
	if !x.route.KeepAuthorization {
		dropped |= dropUnlessKept
	}
	for name, values := range x.in.Header {
		if x.state.names.of(name)&dropped == 0 {
			out[name] = values
		}
	}
	// What Connection names was meant for us (RFC 9110 §7.6.1). Ours is set
	// after that, so that no client can have it taken away.
	for _, line := range x.in.Header["Connection"] {
		if line == "keep-alive" { // what browsers send; a header of that name is never copied
			continue
		}
		for name := range strings.SplitSeq(line, ",") {
			out.Del(textproto.TrimString(name))
		}
	}
	if cookies := out["Cookie"]; cookies != nil && len(x.state.cookies) > 0 && !x.route.KeepAuthorization {
		if out["Cookie"] = withoutCookies(cookies, x.state.cookies); out["Cookie"] == nil {
			delete(out, "Cookie")
		}
	}
	if te := x.in.Header["Te"]; te != nil && isGRPC(x.in) {
		out["Te"] = te // in HTTP/2 it can be `trailers` only, which gRPC servers insist on
	}
	x.setForwarded(out)
	out["X-Request-Id"] = x.values.requestID[:]
	for i := range x.decision.Headers {
		h := &x.decision.Headers[i]
		out[h.Name] = h.Value[:]
	}
	if x.upgrade {
		out["Connection"], out["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	}
	return out
}

// headers are of requests that were sent, and empty: a map of that size takes longer
// to make than to clear, and is a sixth of all that a request allocates.
var headers = sync.Pool{New: func() any { return make(http.Header, usualHeaders) }}

// usualHeaders is how many lines the header of a request mostly has at most. A map
// that had to grow is not kept.
const usualHeaders = 28

// reuse keeps the header of a request that nobody reads any more.
func reuse(h http.Header) {
	if len(h) <= usualHeaders {
		clear(h)
		headers.Put(h)
	}
}

// wantsWebSocket reports whether the request asks for the one protocol that a
// connection may switch to, and nothing besides (RFC 6455 §4.2.1).
func wantsWebSocket(r *http.Request) bool {
	upgrade := r.Header["Upgrade"]
	return len(upgrade) == 1 && strings.EqualFold(upgrade[0], "websocket") &&
		r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoAtLeast(1, 1) && r.ContentLength == 0 &&
		slices.ContainsFunc(r.Header["Connection"], func(line string) bool {
			for option := range strings.SplitSeq(line, ",") {
				if strings.EqualFold(textproto.TrimString(option), "upgrade") {
					return true
				}
			}
			return false
		})
}
