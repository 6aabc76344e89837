package proxy

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/auth"
)

// problem is an answer of ours.
type problem struct {
	reason auth.Reason
	status int    // 0: the reason's
	allow  string // the methods that are allowed, for a 405
	detail string // for the log only; never a part of a credential
	hangup bool   // the connection cannot be trusted any further
}

// retryAfter is in seconds. What it is said of (a list too old, keys or a store
// that cannot be had) is tried again by us all the time.
const retryAfter = "1"

// answer denies the request, or says that it failed, as problem+json (RFC 9457)
// or, to a gRPC call, as a gRPC status.
// It says no more than the reason does. When an answer is under way already the
// connection is broken instead, so that nobody takes half an answer for one.
func (x *Exchange) answer(p *problem) {
	x.reason, x.detail = p.reason, p.detail
	if x.status != 0 {
		panic(http.ErrAbortHandler)
	}
	status := p.status
	if status == 0 {
		status = p.reason.Status()
	}
	h := x.Header()
	clear(h)
	h["Cache-Control"] = []string{"no-store"}
	h["X-Request-Id"] = x.values.requestID[:]
	h["Www-Authenticate"] = x.challenges(p.reason)
	switch status {
	case http.StatusMethodNotAllowed:
		h["Allow"] = []string{p.allow}
	case http.StatusServiceUnavailable:
		h["Retry-After"] = []string{retryAfter}
	}
	if p.hangup {
		h["Connection"] = []string{"close"}
	}
	x.limitDrain()
	if isGRPC(x.in) {
		x.answerGRPC(status)
		return
	}
	body := fmt.Appendf(nil, `{"type":"urn:gatehouse:problem:%s","title":"%s","status":%d,"code":"%[1]s","request_id":"%[4]s"}`+"\n",
		p.reason, p.reason.Title(), status, x.id)
	h["Content-Type"] = []string{"application/problem+json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.WriteHeader(status)
	_, _ = x.Write(body) // a client that is gone needs no answer
}

// challenges are the WWW-Authenticate lines of an answer (RFC 9110 §11.6.1, RFC
// 6750 §3), nil when there is nothing to be asked for.
func (x *Exchange) challenges(reason auth.Reason) []string {
	switch c := reason.Challenge(); c {
	case auth.NoChallenge:
		return nil
	case auth.ChallengeBare:
		if x.route.Policy.Mode == auth.Any {
			return []string{"Bearer", x.state.challenge}
		}
		return []string{"Bearer"}
	case auth.ChallengeAPIKey:
		if m := x.route.Policy.Mode; m == auth.Both || m == auth.Any {
			return []string{x.state.challenge, "Bearer"}
		}
		return []string{x.state.challenge}
	default:
		line := fmt.Sprintf(`Bearer error="%s", error_description="%s"`, c, reason.Title())
		if scopes := x.route.Policy.Scopes; reason == auth.ScopeInsufficient {
			line += fmt.Sprintf(`, scope="%s"`, strings.Join(scopes, " "))
		}
		return []string{line}
	}
}
