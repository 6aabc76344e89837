package auth

// Mode says which credentials a route asks for.
type Mode uint8

// The modes. The zero value asks for both.
const (
	Both Mode = iota
	Any
	APIKeyOnly
	BearerOnly
	None

	modeCount
)

var modes = [modeCount]string{Both: "both", Any: "any", APIKeyOnly: "api_key", BearerOnly: "bearer", None: "none"}

// ParseMode returns the mode with that name; ok is false when there is none.
func ParseMode(name string) (m Mode, ok bool) {
	for m, n := range modes {
		if n == name {
			return Mode(m), true
		}
	}
	return Both, false
}

// String returns the mode's name, as the config has it.
func (m Mode) String() string { return modes[m] }

func (m Mode) looksAtAPIKey() bool { return m == Both || m == Any || m == APIKeyOnly }
func (m Mode) looksAtBearer() bool { return m == Both || m == Any || m == BearerOnly }

// Policy is what one route asks of a request's credentials and what it tells
// the upstream. It is not changed once a Gate decides by it.
type Policy struct {
	Route   string // the route's name, for API keys that are bound to routes
	Mode    Mode
	Issuers []*Issuer // whose tokens are accepted
	Scopes  []string  // all of them must be in `scope` (or `scp`)
	Claims  []ClaimRule
	// Certificates has the client certificates that will do, one of which the
	// connection must have; empty: none is asked for. It counts in each mode.
	Certificates []CertificateRule
	Forward      *Forward
	Renew        bool // tokens of issuers that renew slide on this route
}

// looksAtCertificate reports whether a route without credentials has something
// to ask or to tell.
func (p *Policy) looksAtCertificate() bool {
	return len(p.Certificates) > 0 || p.Forward != nil && p.Forward.CertificateHeader != ""
}

// ClaimRule is met when the claim, or one element of it where it is an array,
// equals one of the values.
type ClaimRule struct {
	Claim string // a path, as in ClaimHeader
	AnyOf []string
}
