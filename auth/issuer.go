package auth

import "time"

// Issuer is one party whose tokens are accepted, and on what terms.
type Issuer struct {
	Name        string // configured name: scopes revocations, labels metrics
	Issuer      string // exact `iss`; empty accepts only tokens that carry none
	Audiences   []string
	AnyAudience bool // skip the audience check; otherwise one of Audiences must be in `aud`
	Keys        Keys
	// Introspection is who is asked about tokens that are no JWTs; nil: nobody, and
	// there are none.
	Introspection Introspection
	Leeway        time.Duration // clock skew allowed on exp, nbf and iat
	MaxTokenBytes int
	MaxTokenLife  time.Duration // exp - iat, or exp - now without iat, above this is refused
	SubjectClaim  string        // names who the token is about, by default `sub`; a path as in ClaimHeader
	Required      []string      // claims that must be there and not null
	Renew         *RenewPolicy  // nil: its tokens are not renewed
	// Cookie names the cookie in which its tokens are accepted besides the
	// Authorization header; empty: in none.
	Cookie string
	// SessionLife is the longest that a session can go on being refreshed, which
	// is how long its revocation must be remembered; 0: there is no refreshing.
	SessionLife time.Duration
}

// RenewPolicy says when tokens of an issuer slide.
type RenewPolicy struct {
	After      float64       // fraction of a token's life that must be used up; 0: always
	MaxSession time.Duration // from auth_time; nothing is renewed past it
}

// Keys are the keys of one issuer. The set may change at any time; what each
// call returns is one consistent set.
type Keys interface {
	// Find returns the key with that kid, nil when there is none.
	Find(kid string) *Key
	// All returns the keys, to try those that fit a token without kid.
	All() []*Key
	// Signer returns the key that signs new tokens, nil when none can.
	Signer() *Key
	// Ready is false while the keys cannot be had, which makes an unknown key
	// a fault of ours and not of the token's.
	Ready() bool
}

// StaticKeys is a set of keys that never changes: those of the config.
type StaticKeys struct {
	all    []*Key
	byID   map[string]*Key
	signer *Key
}

// NewStaticKeys returns the set of those keys. The first that can sign is the
// signer. A key without kid is for tokens whose kid no key has, or that have
// none. Kids must be unique, the last wins.
func NewStaticKeys(keys []*Key) *StaticKeys {
	s := &StaticKeys{all: keys, byID: make(map[string]*Key, len(keys))}
	for _, k := range keys {
		if k.ID != "" {
			s.byID[k.ID] = k
		}
		if s.signer == nil && k.CanSign() {
			s.signer = k
		}
	}
	return s
}

// Find returns the key with that kid, nil when there is none.
func (s *StaticKeys) Find(kid string) *Key { return s.byID[kid] }

// All returns the keys in their order.
func (s *StaticKeys) All() []*Key { return s.all }

// Signer returns the first key that can sign, nil when none can.
func (s *StaticKeys) Signer() *Key { return s.signer }

// Ready is always true.
func (s *StaticKeys) Ready() bool { return true }

// ClientKeys are the keys of an issuer together with the secrets of its
// clients, which are found by the client's id as kid and in no other way.
type ClientKeys struct {
	Keys
	clients map[string]*Key
}

// NewClientKeys returns the keys with those of the clients. A kid that both
// have is the issuer's.
func NewClientKeys(keys Keys, clients []*Key) *ClientKeys {
	c := &ClientKeys{Keys: keys, clients: make(map[string]*Key, len(clients))}
	for _, k := range clients {
		c.clients[k.ID] = k
	}
	return c
}

// Find returns the key with that kid, nil when there is none.
func (c *ClientKeys) Find(kid string) *Key {
	if k := c.Keys.Find(kid); k != nil {
		return k
	}
	return c.clients[kid]
}
