package token

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

const (
	password      = "correct horse battery staple"
	clientSecret  = "reporting-secret-0123456789"
	partnerKey    = "gh_partner-api-key"
	partnerSecret = "Zq3t6w9z$C&F)J@NcRfUjXn2r5u8x/A%"
)

var ctx = context.Background()

// fixture is an engine with an issuer, one user and some clients.
type fixture struct {
	t      testing.TB
	clock  time.Time
	issuer *auth.Issuer
	signer *auth.Key
	list   *fakeList
	store  *fakeStore
	users  *fakeUsers
	log    *bytes.Buffer
	cfg    Config
	*Engine
}

func newFixture(t testing.TB, changes ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: time.Date(2026, 3, 1, 12, 0, 0, 500e6, time.UTC), log: new(bytes.Buffer)}
	now := func() time.Time { return f.clock }
	f.list = &fakeList{entries: map[auth.RevocationKey]auth.Revocation{}}
	f.store = &fakeStore{
		now: now, list: f.list, failing: map[string]error{}, sessions: map[string]*fakeSession{}, counts: map[string]fakeCount{},
	}
	f.users = &fakeUsers{password: password, users: map[string]User{"jane@example.com": {
		ID: "u1", Username: "jane@example.com", Source: "file", Email: "jane@example.com",
		Claims: map[string]json.RawMessage{
			"roles": json.RawMessage(`["staff"]`), "big": json.RawMessage(`12345678901234567890`), "sub": json.RawMessage(`"root"`), "scope": json.RawMessage(`"admin"`),
		},
	}}}
	f.signer = newSigner(t)
	f.issuer = &auth.Issuer{
		Name: "main", Issuer: "https://auth.example.com", Audiences: []string{"api", "other"}, Leeway: 10 * time.Second,
		MaxTokenBytes: 4 << 10, MaxTokenLife: 24 * time.Hour, SubjectClaim: "sub", Required: []string{"sub"},
		Renew: &auth.RenewPolicy{MaxSession: 12 * time.Hour}, SessionLife: 720 * time.Hour,
	}
	f.cfg = Config{
		Issuer: f.issuer, Audience: "api", AccessTTL: time.Hour, RefreshTTL: 240 * time.Hour, RefreshGrace: 10 * time.Second, MaxSession: 720 * time.Hour,
		PerAccount: Limit{Max: 3, Window: 5 * time.Minute}, PerAddress: Limit{Max: 6, Window: 5 * time.Minute},
		Clients: []Client{
			{ID: "web", Grants: []GrantType{GrantPassword, GrantRefresh}, Scopes: []string{"orders:read", "orders:write"}},
			{ID: "backend", SecretSHA256: sha256.Sum256([]byte("backend-secret")), Grants: []GrantType{GrantPassword, GrantRefresh}, Scopes: []string{"orders:read"}},
			{ID: "short", Grants: []GrantType{GrantPassword}, AccessTTL: time.Minute},
			{
				ID: "reporting", SecretSHA256: sha256.Sum256([]byte(clientSecret)), Grants: []GrantType{GrantClientCredentials},
				Scopes: []string{"red-marker-review", "reports"}, AccessTTL: 15 * time.Minute,
			},
			{ID: "partner-1", SigningSecret: []byte(partnerSecret), APIKeyID: "partner-1-key", Grants: []GrantType{GrantClientSecret}, Scopes: []string{"orders:read"}},
		},
		List: f.list, Users: f.users, Sessions: f.store, Ender: f.store, Limiter: f.store, Revoker: f.store,
		Log: slog.New(slog.NewJSONHandler(f.log, nil)), Now: now,
	}
	for _, change := range changes {
		change(&f.cfg)
	}
	f.build()
	return f
}

func newSigner(t testing.TB) *auth.Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := auth.NewSigningKey("k1", "ES256", private)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// build makes the engine of the configuration as it is now.
func (f *fixture) build() {
	f.t.Helper()
	if err := f.make(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) make() error {
	f.t.Helper()
	var clients []*auth.Key
	for _, c := range f.cfg.Clients {
		if c.SigningSecret == nil {
			continue
		}
		k, err := auth.NewSecretKey(c.ID, "HS256", c.SigningSecret)
		if err != nil {
			f.t.Fatal(err)
		}
		k.Client, k.Scopes = c.ID, c.Scopes
		clients = append(clients, k)
	}
	if f.issuer.Keys == nil {
		f.issuer.Keys = auth.NewClientKeys(auth.NewStaticKeys([]*auth.Key{f.signer}), clients)
	}
	apiKeys := auth.NewAPIKeys([]auth.APIKey{
		{ID: "partner-1-key", SHA256: sha256.Sum256([]byte(partnerKey)), Routes: []string{"orders"}},
		{ID: "old-key", SHA256: sha256.Sum256([]byte("old")), NotAfter: f.clock},
	}, nil)
	gate, err := auth.NewGate(auth.GateConfig{APIKeys: apiKeys, Issuers: []*auth.Issuer{f.issuer}, Revocations: f.list, CacheBytes: 1 << 20})
	if err != nil {
		f.t.Fatal(err)
	}
	f.cfg.Gate = gate
	f.Engine, err = New(f.cfg)
	return err
}

func (f *fixture) wait(d time.Duration) { f.clock = f.clock.Add(d) }

// from is a request from an address.
func from(address string) Request {
	a, _ := netip.ParseAddr(address)
	return Request{Caller: auth.Caller{RequestID: "r1", Address: a}}
}

// with is a request of a client.
func with(id, secret string) Request {
	r := from("192.0.2.1")
	r.Client = ClientAuth{ID: id, Secret: secret}
	return r
}

// apiKey is a request with a verified API key.
func apiKey(id string) Request {
	r := from("192.0.2.1")
	r.Client = ClientAuth{ID: id, APIKey: true}
	return r
}

// bearer is a request with a bearer token.
func bearer(token string) Request {
	r := from("192.0.2.1")
	r.Caller.Credentials = auth.BearerCredentials(token)
	return r
}

// login logs Jane in by the client.
func (f *fixture) login(r Request, scopes ...string) Grant {
	f.t.Helper()
	g, err := f.Password(ctx, PasswordGrant{Request: r, Username: "jane@example.com", Password: password, Scopes: scopes})
	if err != nil {
		f.t.Fatal(err)
	}
	return g
}

func (f *fixture) refresh(r Request, token string, scopes ...string) (Grant, error) {
	return f.Refresh(ctx, RefreshGrant{Request: r, RefreshToken: token, Scopes: scopes})
}

// refreshed is refresh that must succeed.
func (f *fixture) refreshed(r Request, token string, scopes ...string) Grant {
	f.t.Helper()
	g, err := f.refresh(r, token, scopes...)
	if err != nil {
		f.t.Fatal(err)
	}
	return g
}

// state is what the data plane says of a token.
func (f *fixture) state(token string) auth.Reason {
	p := &auth.Policy{Mode: auth.BearerOnly, Issuers: []*auth.Issuer{f.issuer}, Forward: &auth.Forward{}}
	return f.cfg.Gate.Decide(p, auth.BearerCredentials(token), f.clock).Reason
}

// mint signs claims with the issuer's key, as another service would.
func (f *fixture) mint(claims map[string]any) string {
	f.t.Helper()
	all := map[string]any{"iss": f.issuer.Issuer, "sub": "u9", "aud": "other", "iat": f.clock.Unix(), "exp": f.clock.Unix() + 600, "jti": "t9"}
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	compact, err := auth.Sign(f.signer, "JWT", all)
	if err != nil {
		f.t.Fatal(err)
	}
	return compact
}

// want checks the reason of an error of the engine; auth.OK for none.
func want(t testing.TB, what string, err error, reason auth.Reason) {
	t.Helper()
	got := auth.OK
	if err != nil {
		got = reasonOf(err)
	}
	if got != reason {
		t.Errorf("%s: %s (%v), want %s", what, got, err, reason)
	}
}

// wantNothing checks that an error came with no token.
func wantNothing(t testing.TB, what string, g Grant, err error, reason auth.Reason) {
	t.Helper()
	want(t, what, err, reason)
	if g.AccessToken != "" || g.RefreshToken != "" {
		t.Errorf("%s: a token was answered", what)
	}
}

// part decodes one part of a compact JWS.
func part(t testing.TB, token string, i int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", token)
	}
	raw, err := encoding.DecodeString(parts[i])
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	all := map[string]any{}
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func claimsOf(t testing.TB, token string) map[string]any { return part(t, token, 1) }

// logged returns the lines with that message.
func (f *fixture) logged(message string) []map[string]any {
	var found []map[string]any
	for line := range strings.Lines(f.log.String()) {
		all := map[string]any{}
		if json.Unmarshal([]byte(line), &all) == nil && all["msg"] == message {
			found = append(found, all)
		}
	}
	return found
}
