package introspection

import "time"

// troubleEvery is the least time between two lines of the log about one issuer:
// requests fail by the thousand.
const troubleEvery = 10 * time.Second

// trouble is what is wrong with asking, and what of it the log knows.
type trouble struct {
	failing bool      // the last call came to nothing
	told    bool      // the log knows of no end of it
	errors  time.Time // of the last line about a call that came to nothing
	bursts  time.Time // of the last line about too many calls
}

// note takes down how a call has ended.
func (t *trouble) note(cfg *Config, err error) {
	now := cfg.Now()
	t.failing = err != nil
	switch {
	case err != nil && now.Sub(t.errors) >= troubleEvery:
		t.errors, t.told = now, true
		cfg.Log.Error("introspection: the issuer cannot be asked; its tokens that are not remembered are answered 503", "issuer", cfg.Issuer, "url", cfg.URL, "error", err)
	case err == nil && t.told:
		t.told = false
		cfg.Log.Info("introspection: the issuer answers again", "issuer", cfg.Issuer)
	}
}

// busy takes down that a call was not made.
func (t *trouble) busy(cfg *Config, err error) {
	if now := cfg.Now(); now.Sub(t.bursts) >= troubleEvery {
		t.bursts = now
		cfg.Log.Warn("introspection: too many calls at once; tokens that are not remembered are answered 503", "issuer", cfg.Issuer, "error", err)
	}
}
