package gateway

import (
	"net/http"
	"runtime"
	"strings"
	"time"

	"gatehouse/admin"
	"gatehouse/auth"
)

// Ready reports whether traffic should be sent here.
func (g *Gateway) Ready() bool {
	for _, p := range (*instance)(g).Parts(time.Now()) {
		if p.State == admin.StateFailing {
			return false
		}
	}
	return true
}

// instance is the Gateway as the admin listener sees it.
type instance Gateway

// Parts are what readiness depends on. An old revocation list and an issuer
// without keys are degraded only: they are answered 503 on what concerns them,
// and taking all replicas out of service would help nobody.
func (i *instance) Parts(now time.Time) []admin.Part {
	s := i.snapshot.Load()
	config := admin.Part{Name: "config", State: admin.StateOK}
	if message := i.reloadError.Load(); message != nil {
		config.State, config.Detail = admin.StateDegraded, "the file as it is now was not accepted; the one before is in force"
	}
	parts := []admin.Part{config, i.revocations(now), keys(s.issuers)}
	if i.draining.Load() {
		parts = append(parts, admin.Part{Name: "draining", State: admin.StateFailing, Detail: "the gateway is shutting down"})
	}
	return parts
}

func (i *instance) revocations(now time.Time) admin.Part {
	p := admin.Part{Name: "revocations", State: admin.StateOK}
	switch {
	case !i.list.Complete():
		p.State, p.Detail = admin.StateFailing, "the revocation list is not whole yet: is the store up? One that is new is given 1.5 s"
	case i.old(now):
		p.State, p.Detail = admin.StateDegraded, "the revocation list is older than revocation.max_staleness: is the store up?"
	}
	return p
}

// old reports whether the list is older than the configuration wants it to be,
// whatever it says is to be done then.
func (i *instance) old(now time.Time) bool {
	return i.list.Age(now) > i.snapshot.Load().config.Revocation.MaxStaleness.Std()
}

func keys(issuers []*auth.Issuer) admin.Part {
	var without, silent []string
	for _, issuer := range issuers {
		if remote := published(issuer.Keys); remote != nil && !remote.Tried() {
			return admin.Part{Name: "keys", State: admin.StateFailing, Detail: "the keys of issuer " + issuer.Name + " are being read"}
		}
		switch {
		case unanswering(issuer):
			silent = append(silent, issuer.Name)
		case !issuer.Keys.Ready():
			without = append(without, issuer.Name)
		}
	}
	p := admin.Part{Name: "keys", State: admin.StateOK}
	if len(silent) > 0 { // never failing: only requests find out that it answers again
		p.State, p.Detail = admin.StateDegraded, "introspection gets no answer of issuer "+strings.Join(silent, ", ")
	}
	if len(without) == 0 {
		return p
	}
	p.State, p.Detail = admin.StateDegraded, "keys cannot be had of issuer "+strings.Join(without, ", ")
	if len(without) == len(issuers) {
		p.State = admin.StateFailing
	}
	return p
}

// Status is the state for people.
func (i *instance) Status(now time.Time) admin.Status {
	s := i.snapshot.Load()
	status := admin.Status{
		Version: i.build.Version, Commit: i.build.Commit, Go: runtime.Version(), Started: i.started,
		Config: admin.ConfigStatus{File: s.config.Name(), LoadedAt: time.Unix(0, i.loadedAt.Load())},
		Revocations: admin.RevocationsStatus{
			Entries: map[string]int{}, AgeSeconds: -1, Stale: i.old(now), FilterBits: i.list.FilterBits(),
		},
	}
	if message := i.reloadError.Load(); message != nil {
		status.Config.Error = *message
	}
	if i.list.Complete() {
		status.Revocations.AgeSeconds = i.list.Age(now).Seconds()
	}
	for kind, n := range i.list.Len() {
		status.Revocations.Entries[kind.String()] = n
	}
	for _, issuer := range s.issuers {
		is := admin.IssuerStatus{Name: issuer.Name, KeyIDs: []string{}, Ready: issuer.Keys.Ready() && !unanswering(issuer), Introspection: issuer.Introspection != nil}
		for _, k := range issuer.Keys.All() {
			is.KeyIDs = append(is.KeyIDs, k.ID)
		}
		if signer := issuer.Keys.Signer(); signer != nil {
			is.Signer = signer.ID
		}
		status.Issuers = append(status.Issuers, is)
	}
	return status
}

// configuration is the configuration in force as the admin API sees it.
type configuration Gateway

// Issuers are the issuers in force.
func (c *configuration) Issuers() []*auth.Issuer { return c.snapshot.Load().issuers }

// APIKeys are the keys of the config.
func (c *configuration) APIKeys() []auth.APIKey { return c.snapshot.Load().apiKeys }

// Routes are the routes in force, in the config's order.
func (c *configuration) Routes() []admin.Route {
	s := c.snapshot.Load()
	routes := []admin.Route{}
	for _, r := range s.config.Routes {
		route := admin.Route{
			Name: r.Name, Match: r.Match, Auth: r.Auth, Issuers: []string{}, Scopes: r.Require.Scopes,
			Renew: r.Renew, WebSocket: r.Websocket,
		}
		for _, u := range r.Upstream {
			route.Upstreams = append(route.Upstreams, u.URL)
		}
		for _, i := range accepted(s.issuers, r.Issuers) {
			route.Issuers = append(route.Issuers, i.Name)
		}
		routes = append(routes, route)
	}
	return routes
}

// explainer explains by the configuration in force.
type explainer Gateway

// Explain takes the decision about a request.
func (e *explainer) Explain(r *http.Request, now time.Time) any {
	return e.snapshot.Load().explain(r, now)
}
