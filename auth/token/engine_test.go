package token

import (
	"errors"
	"testing"
	"time"

	"gatehouse/auth"
)

func TestEngineConfiguration(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no issuer":                        func(c *Config) { c.Issuer = nil },
		"no gate":                          func(c *Config) { c.Gate = nil },
		"no list":                          func(c *Config) { c.List = nil },
		"no users":                         func(c *Config) { c.Users = nil },
		"no sessions":                      func(c *Config) { c.Sessions = nil },
		"no ender":                         func(c *Config) { c.Ender = nil },
		"no limiter":                       func(c *Config) { c.Limiter = nil },
		"no revoker":                       func(c *Config) { c.Revoker = nil },
		"no log":                           func(c *Config) { c.Log = nil },
		"no life":                          func(c *Config) { c.AccessTTL = 0 },
		"life below a second":              func(c *Config) { c.AccessTTL = time.Second - 1 },
		"no session":                       func(c *Config) { c.MaxSession = 0 },
		"negative refresh":                 func(c *Config) { c.RefreshTTL = -1 },
		"negative grace":                   func(c *Config) { c.RefreshGrace = -1 },
		"life above the issuer's":          func(c *Config) { c.AccessTTL = 24*time.Hour + time.Second },
		"another subject claim":            func(c *Config) { c.Issuer.SubjectClaim = "email" },
		"another audience":                 func(c *Config) { c.Audience = "x" },
		"no audience":                      func(c *Config) { c.Audience = "" },
		"revocations that are forgotten":   func(c *Config) { c.Issuer.SessionLife = 720*time.Hour - 1 },
		"client that cannot be configured": func(c *Config) { c.Clients = []Client{{}} },
	} {
		f := newFixture(t)
		change(&f.cfg)
		if _, err := New(f.cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	f := newFixture(t)
	f.cfg.Issuer.SessionLife, f.cfg.RefreshTTL = 0, 0
	f.cfg.Issuer.AnyAudience, f.cfg.Audience, f.cfg.Now = true, "", nil
	f.cfg.AccessTTL, f.cfg.MaxSession = time.Second, time.Second
	if _, err := New(f.cfg); err != nil {
		t.Error(err)
	}
	f.cfg.AccessTTL = 24 * time.Hour
	e, err := New(f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(e.cfg.Now()); d < 0 || d > time.Minute {
		t.Errorf("its clock is off by %s", d)
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	e := &Error{Reason: auth.StoreUnavailable, Detail: "detail", Err: cause}
	if e.Error() != "store_unavailable: detail: cause" || !errors.Is(e, cause) {
		t.Error(e)
	}
	if refuse(auth.ScopeInvalid, "at most %d", 3).Error() != "scope_invalid: at most 3" {
		t.Error("the detail is lost")
	}
	if (&Error{Reason: auth.GrantInvalid}).Error() != "grant_invalid" || reasonOf(cause) != auth.Undecided {
		t.Error("a reason is lost or found")
	}
}
