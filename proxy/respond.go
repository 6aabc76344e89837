package proxy

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"gatehouse/auth"
)

// modifyResponse makes the client's answer of the upstream's final header.
// ReverseProxy calls it for no informational answer: those pass through
// [Exchange.WriteHeader].
func modifyResponse(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	now := x.handler.now()
	x.upstream = now.Sub(x.start)
	if !x.wait.over() {
		return errUpstream("the response header came when the route's timeout had ended")
	}
	if res.ProtoMajor == 2 && x.cancel != nil {
		res.Body = http2Answer{res.Body, x.cancel}
	}
	x.state.names.scrub(res.Header)
	x.trailer = res
	x.watchAnswer(res)
	h := x.handOver(res)
	h["X-Request-Id"] = x.values.requestID[:]
	if x.decision.RenewalDue && renewable(res.StatusCode) {
		x.renew(h, now)
	}
	return nil
}

// handOver gives the answer's header to the client's and returns that, which
// ReverseProxy would do line by line, canonicalizing each name again. It leaves
// ReverseProxy what it goes on to look at: all, where protocols are switched, and
// the type of events, which it passes on as they come. Any other type it would
// take apart for nothing.
func (x *Exchange) handOver(res *http.Response) http.Header {
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res.Header
	}
	kind := res.Header["Content-Type"]
	events := len(kind) > 0 && isEventStream(kind[0])
	if events {
		delete(res.Header, "Content-Type")
	}
	h := x.Header()
	maps.Copy(h, res.Header)
	clear(res.Header)
	if events {
		res.Header["Content-Type"] = kind
	}
	return h
}

// isEventStream reports whether ReverseProxy may take a type for that of
// server-sent events.
func isEventStream(kind string) bool {
	const events = "text/event-stream"
	return len(kind) >= len(events) && strings.EqualFold(kind[:len(events)], events)
}

// http2Answer is an answer that is over when it is closed, also when the client
// has not sent its whole request: net/http would wait for that.
type http2Answer struct {
	io.ReadCloser
	cancel func()
}

// Close ends the stream.
func (a http2Answer) Close() error {
	a.cancel()
	return a.ReadCloser.Close()
}

// renewable reports whether an answer with that status can carry a token. A 304
// updates an answer in a cache (RFC 9111 §4.3.4), where no token may be.
func renewable(status int) bool {
	return status >= 200 && status < 400 && status != http.StatusNotModified
}

// renew puts the token's successor on the answer. The answer is good without.
func (x *Exchange) renew(h http.Header, now time.Time) {
	authorization, result, err := x.state.gate.Renew(x.decision, now)
	issuer := x.decision.Principal.Token.Issuer().Name
	x.state.renewal(issuer, result)
	if result == auth.RenewFailed {
		x.handler.log.Warn("token not renewed", "request_id", x.id, "issuer", issuer, "error", err)
	}
	if authorization == "" {
		return
	}
	carrier := "Authorization"
	if x.cookie != "" { // its script must not see it
		carrier = "Cookie"
		token := strings.TrimPrefix(authorization, auth.BearerScheme)
		h["Set-Cookie"] = append(h["Set-Cookie"], tokenCookie(x.cookie, token, x.decision.Principal.Token.Life()))
	} else {
		h["Authorization"] = []string{authorization}
		addToken(h, "Access-Control-Expose-Headers", "Authorization")
	}
	for name := range h {
		// Caches on the way prefer these to Cache-Control (RFC 9213 §2.2).
		if name == "Surrogate-Control" || strings.HasSuffix(name, "-Cache-Control") {
			delete(h, name)
		}
	}
	h["Cache-Control"] = []string{"no-store"}
	addToken(h, "Vary", carrier)
}

// addToken adds a name to a list field, unless it is there. A `*` in
// Access-Control-Expose-Headers does not cover Authorization.
func addToken(h http.Header, field, name string) {
	for _, line := range h[field] {
		for listed := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(listed), name) {
				return
			}
		}
	}
	h[field] = append(h[field], name)
}
