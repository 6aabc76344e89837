package proxy

import "gatehouse/auth"

// local has the request answered here. Whoever answers sees a header of its own
// to fill, the client's request, and a body that is bounded like any other.
func (x *Exchange) local(credentials auth.Credentials) {
	r := x.in
	if r.ContentLength != 0 {
		x.body.begin(x)
		if p := x.limit(); p != nil { // nothing is read, so that the client is not told to send it
			x.body.fault.Store(p)
		}
		r = r.WithContext(r.Context()) // x.in is not changed
		r.Body = (*localBody)(&x.body)
	}
	x.Header()["X-Request-Id"] = x.values.requestID[:]
	x.outcome = x.route.Local.ServeLocal(x, r, auth.Caller{
		RequestID: x.id, Address: x.client, Credentials: credentials, Decision: x.decision,
	})
	x.reason, x.detail = x.outcome.Reason, x.outcome.Detail
	if p := x.body.fault.Load(); p != nil && p.hangup {
		x.reason, x.detail = p.reason, p.detail
	}
}

// localBody is a request's body that is read here: what goes wrong comes with
// its reason.
type localBody requestBody

// Read implements io.Reader.
func (b *localBody) Read(p []byte) (int, error) {
	if fault := b.fault.Load(); fault != nil {
		return 0, fault.reason
	}
	n, err := (*requestBody)(b).Read(p)
	if fault := b.fault.Load(); fault != nil {
		err = fault.reason
	}
	return n, err
}

// Close does nothing: net/http closes a request's body when the handler is done.
func (b *localBody) Close() error { return nil }
