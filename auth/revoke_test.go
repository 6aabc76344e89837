package auth

import (
	"strings"
	"testing"
	"time"
)

func TestRevocationRequest(t *testing.T) {
	issuers := []*Issuer{{Name: "main", MaxTokenLife: time.Hour, Leeway: 10 * time.Second}}
	two := append(issuers, &Issuer{Name: "other", MaxTokenLife: 2 * time.Hour})
	at := now.Add(300 * time.Millisecond)
	longest := now.Add(time.Hour + 20*time.Second + time.Second)
	for _, c := range []struct {
		name    string
		r       RevocationRequest
		issuers []*Issuer
		want    Revocation
	}{
		{"a session", RevocationRequest{Kind: KindSession, ID: "s"}, issuers, Revocation{Kind: KindSession, Issuer: "main", ID: "s", Until: longest}},
		{"a subject", RevocationRequest{Kind: KindSubject, ID: "u"}, issuers, Revocation{Kind: KindSubject, Issuer: "main", ID: "u", Before: now, Until: longest}},
		{
			"of another issuer, with its own life",
			RevocationRequest{Kind: KindToken, ID: "t", Issuer: "other"},
			two,
			Revocation{Kind: KindToken, Issuer: "other", ID: "t", Until: now.Add(2*time.Hour + time.Second)},
		},
		{
			"sessions still to begin",
			RevocationRequest{Kind: KindSubject, ID: "u", Before: now.Add(time.Hour)},
			issuers,
			Revocation{Kind: KindSubject, Issuer: "main", ID: "u", Before: now.Add(time.Hour), Until: now.Add(2*time.Hour + 20*time.Second)},
		},
		{
			"by ttl",
			RevocationRequest{Kind: KindClient, ID: "c", TTL: time.Minute},
			issuers,
			Revocation{Kind: KindClient, Issuer: "main", ID: "c", Before: now, Until: now.Add(61 * time.Second)},
		},
		{"an issuer", RevocationRequest{Kind: KindIssuer, ID: "main"}, two, Revocation{Kind: KindIssuer, ID: "main", Before: now, Until: longest}},
		{"an API key", RevocationRequest{Kind: KindAPIKey, ID: "k"}, nil, Revocation{Kind: KindAPIKey, ID: "k", Until: now.Add(MaxRevocationTTL + time.Second)}},
		{
			"the longest id, for the longest time",
			RevocationRequest{Kind: KindToken, ID: strings.Repeat("x", 1024), TTL: MaxRevocationTTL},
			issuers,
			Revocation{Kind: KindToken, Issuer: "main", ID: strings.Repeat("x", 1024), Until: at.Add(MaxRevocationTTL).Truncate(time.Second).Add(time.Second)},
		},
	} {
		if got, err := c.r.Entry(c.issuers, at); err != nil || got != c.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", c.name, got, err, c.want)
		}
	}
	for _, c := range []struct {
		want string
		r    RevocationRequest
		in   []*Issuer
	}{
		{"kind: want one of jti, sid", RevocationRequest{ID: "x"}, issuers},
		{"id: want 1 to", RevocationRequest{Kind: KindToken}, issuers},
		{"id: want 1 to", RevocationRequest{Kind: KindToken, ID: strings.Repeat("x", maxRevocationID+1)}, issuers},
		{"issuer: want the name of an issuer: main, other", RevocationRequest{Kind: KindToken, ID: "x"}, two},
		{"issuer: want the name of an issuer: main", RevocationRequest{Kind: KindToken, ID: "x", Issuer: "mian"}, issuers},
		{"issuer: no issuer is configured", RevocationRequest{Kind: KindToken, ID: "x"}, nil},
		{"id: want the name of an issuer: main", RevocationRequest{Kind: KindIssuer, ID: "https://auth.example.com"}, issuers},
		{"issuer: a revocation of kind api_key has none", RevocationRequest{Kind: KindAPIKey, ID: "x", Issuer: "main"}, issuers},
		{"ttl: want a duration", RevocationRequest{Kind: KindToken, ID: "x", TTL: -1}, issuers},
		{"before: want a time", RevocationRequest{Kind: KindSubject, ID: "x", Before: time.Unix(0, 0)}, issuers},
		{"before: want a time", RevocationRequest{Kind: KindSubject, ID: "x", Before: now.Add(MaxRevocationTTL + 1)}, issuers},
		{"ttl: want a duration", RevocationRequest{Kind: KindToken, ID: "x", TTL: MaxRevocationTTL + 1}, issuers},
	} {
		if _, err := c.r.Entry(c.in, now); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.r, err, c.want)
		}
	}
}
