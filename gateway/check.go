package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
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
		s, err := build(cfg, apart())
		if err != nil {
			return nil, err
		}
		return s.warnings, nil
	}
	// What Load has found fault with is not looked at again.
	b := &builder{cfg: cfg, warnings: cfg.Warnings(), problems: slices.Clone(found)}
	b.issuers()
	b.tls()
	b.adminToken()
	b.storeURL()
	return b.warnings, b.sorted()
}

// apart are parts that count nowhere.
func apart() parts {
	return parts{
		list: newList(), stored: &auth.StoredAPIKeys{},
		observer: func(string) proxy.Observer { return uncounted{} },
		renewal:  func(string, auth.RenewResult) {},
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
	p := apart()
	s, err := build(cfg, p)
	if err != nil {
		return proxy.Explanation{}, err
	}
	listErr := readList(ctx, cfg, p, now, log)
	return s.state.Explain(r, now), listErr
}

// readList fills the list and the stored keys from the store, once.
func readList(ctx context.Context, cfg *config.Config, p parts, now time.Time, log *slog.Logger) error {
	err := ReadStore(ctx, cfg, log, func(st *store.Store) error {
		_, err := st.Snapshot(ctx, func(e revocation.Event) error {
			switch e.Op {
			case revocation.Revoked:
				p.list.Put(e.Revocation, now)
			case revocation.KeyPut:
				p.stored.Put(e.Key)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	p.list.Current(now)
	return nil
}
