package auth

import "net/netip"

// Caller is who asks something of the gateway itself, as far as the data plane
// knows.
type Caller struct {
	RequestID   string
	Address     netip.Addr // of the client, by the trusted-proxy rule; invalid when it has none
	Credentials Credentials
	Decision    Decision // about the credentials, by the policy of the route
}

// Outcome is what came of it, for the log and the metrics.
type Outcome struct {
	Reason  Reason
	Subject string // who it was about; empty: nobody
	TokenID string // `jti` of the token that was presented or issued; empty: none
	Detail  string // more about the reason, for the log only
}
