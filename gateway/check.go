package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/auth/users"
	"gatehouse/config"
	"gatehouse/proxy"
	"gatehouse/store"
)

// Check finds what is wrong with a configuration beyond what Load finds: keys,
// key sets, certificates and patterns. It opens no listener and no store.
// found are the problems that Load came back with, if any; the error is those
// and more, as config.Problems. Warnings deserve a look.
func Check(cfg *config.Config, found config.Problems) (warnings []string, err error) {
	if len(found) == 0 {
		s, err := build(cfg, apart(cfg, slog.New(slog.DiscardHandler)))
		if err != nil {
			return nil, err
		}
		return s.warnings, nil
	}
	// What Load has found fault with is not looked at again.
	b := &builder{cfg: cfg, parts: apart(cfg, slog.New(slog.DiscardHandler)), warnings: cfg.Warnings(), problems: slices.Clone(found)}
	b.issuers()
	b.tls()
	b.adminToken()
	b.storeURL()
	return b.warnings, b.sorted()
}

// apart are parts that serve nobody and count nowhere.
func apart(cfg *config.Config, log *slog.Logger) parts {
	hasher, _ := users.NewHasher(users.HasherConfig{Limit: 1}) // one is a limit that it takes
	list, _ := newList(1, revocation.MirrorConfig{})           // it is read at once, from however many
	return parts{
		list: list, stored: &auth.StoredAPIKeys{}, store: &tokenStore{}, rings: newRings(commandRings{cfg, log}, log), remotes: newRemotes(commandRings{cfg, log}, log), hasher: hasher,
		observer:     func(string) proxy.Observer { return uncounted{} },
		renewal:      func(string, auth.RenewResult) {},
		introspected: func(string, auth.IntrospectionResult, time.Duration) {},
		grant:        func(string, string, auth.Reason) {},
		replayed:     func() {},
		log:          log,
	}
}

type uncounted struct{}

func (uncounted) Request(string, int, time.Duration) {}
func (uncounted) Decision(auth.Reason)               {}
func (uncounted) Upstream(time.Duration)             {}

// Explain takes the decision about a request that a gateway with this
// configuration would take now. The revocation list is read from the store;
// when it cannot be, the error says why and the explanation is that of a
// gateway that never had the list.
func Explain(ctx context.Context, cfg *config.Config, r *http.Request, now time.Time, log *slog.Logger) (proxy.Explanation, error) {
	p := apart(cfg, log)
	s, err := build(cfg, p)
	if err != nil {
		return proxy.Explanation{}, err
	}
	listErr := readList(ctx, cfg, p, now, log)
	return s.explain(r, now), listErr
}

// explain explains a request as if it had come by the listener, which serves
// nothing without TLS where it has a certificate.
func (s *snapshot) explain(r *http.Request, now time.Time) proxy.Explanation {
	if s.config.Server.TLS.CertFile != "" && r.TLS == nil {
		r.TLS = &tls.ConnectionState{}
	}
	return s.state.Explain(r, now)
}

// readList fills the list and the stored keys from the store, once.
func readList(ctx context.Context, cfg *config.Config, p parts, now time.Time, log *slog.Logger) error {
	err := ReadStore(ctx, cfg, log, func(st *store.Store) error {
		for _, source := range st.Sources() {
			_, err := source.Snapshot(ctx, func(e revocation.Event) error {
				switch e.Op {
				case revocation.Revoked:
					p.list.Put(e.Revocation, now)
				case revocation.KeyPut:
					p.stored.Put(e.Key)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.list.Current(now)
	p.remotes.load(ctx)
	return p.rings.load(ctx)
}
