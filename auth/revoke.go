package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxRevocationTTL bounds how long an entry is kept, and is how long one that
// names an API key is: keys need not expire.
const MaxRevocationTTL = 75 * 365 * 24 * time.Hour // times are kept in 32 bits, up to 2106

// maxRevocationID bounds the id of a revocation, in bytes.
const maxRevocationID = 1024

// RevocationRequest is what somebody asks to be revoked.
type RevocationRequest struct {
	Kind   Kind
	ID     string
	Issuer string        // configured name; may be empty where there is one issuer, or the kind has none
	Before time.Time     // zero: now for the kinds that are timed, else nothing is spared
	TTL    time.Duration // zero: the longest that what is concerned can live
}

// Entry returns the entry to be stored. The error says, for people, which
// field is at fault and what is wanted.
func (r RevocationRequest) Entry(issuers []*Issuer, now time.Time) (Revocation, error) {
	var none Revocation
	switch {
	case !r.Kind.Valid():
		return none, fmt.Errorf("kind: want one of %s", joinKinds())
	case r.ID == "" || len(r.ID) > maxRevocationID:
		return none, fmt.Errorf("id: want 1 to %d bytes", maxRevocationID)
	case r.TTL < 0 || r.TTL > MaxRevocationTTL:
		return none, fmt.Errorf("ttl: want a duration above 0, at most %s", MaxRevocationTTL)
	case !r.Before.IsZero() && (r.Before.Unix() <= 0 || r.Before.After(now.Add(MaxRevocationTTL))):
		return none, errors.New("before: want a time of this century")
	}
	issuer, life, err := r.scope(issuers)
	if err != nil {
		return none, err
	}
	e := Revocation{Kind: r.Kind, Issuer: issuer, ID: r.ID, Before: r.Before.UTC().Truncate(time.Second)}
	if r.Before.IsZero() && r.Kind.Timed() {
		e.Before = now.UTC().Truncate(time.Second)
	}
	until := now.Add(life)
	if e.Before.After(now) {
		until = e.Before.Add(life) // sessions begun until then are covered too
	}
	if r.TTL > 0 {
		until = now.Add(r.TTL)
	}
	e.Until = until.UTC().Add(time.Second - 1).Truncate(time.Second) // rounded up
	return e, nil
}

// scope finds the issuer that the entry belongs to, empty for a kind that has
// none, and the longest that a credential concerned can live from now.
func (r RevocationRequest) scope(issuers []*Issuer) (name string, life time.Duration, err error) {
	if !r.Kind.Scoped() && r.Issuer != "" {
		return "", 0, fmt.Errorf("issuer: a revocation of kind %s has none", r.Kind)
	}
	if r.Kind == KindAPIKey {
		return "", MaxRevocationTTL, nil
	}
	field, want := "issuer", r.Issuer
	if r.Kind == KindIssuer {
		field, want = "id", r.ID
	} else if want == "" && len(issuers) == 1 {
		want = issuers[0].Name
	}
	i := slices.IndexFunc(issuers, func(issuer *Issuer) bool { return issuer.Name == want })
	if i < 0 {
		if len(issuers) == 0 {
			return "", 0, errors.New(field + ": no issuer is configured")
		}
		return "", 0, fmt.Errorf("%s: want the name of an issuer: %s", field, joinNames(issuers))
	}
	if r.Kind.Scoped() {
		name = want
	}
	// A token may be dated a leeway ahead and is accepted a leeway longer.
	life = issuers[i].MaxTokenLife
	if r.Kind != KindToken { // a token is not refreshed, a session is
		life = max(life, issuers[i].SessionLife)
	}
	return name, life + 2*issuers[i].Leeway, nil
}

func joinKinds() string {
	names := []string{}
	for _, k := range Kinds() {
		names = append(names, k.String())
	}
	return strings.Join(names, ", ")
}

func joinNames(issuers []*Issuer) string {
	names := []string{}
	for _, i := range issuers {
		names = append(names, i.Name)
	}
	return strings.Join(names, ", ")
}
