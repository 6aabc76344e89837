package admin

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/auth"
)

// Config is what the handler shows and acts on. All of it is required but
// Hosts.
type Config struct {
	// TokenSHA256 returns the SHA-256 of the admin token in force; the zero
	// sum switches the API off.
	TokenSHA256 func() [32]byte
	// Hosts are further names by which clients may call the listener; see
	// hostAllowed.
	Hosts       []string
	Metrics     http.Handler
	Instance    Instance
	Config      Configuration
	Revocations RevocationStore
	Keys        KeyStore
	Sessions    SessionStore
	List        auth.RevocationList // which sessions are over
	Reload      Reloader
	Explain     Explainer
	Log         *slog.Logger
	Now         func() time.Time
}

// Configuration is what the configuration in force says.
type Configuration interface {
	Routes() []Route
	Issuers() []*auth.Issuer
	APIKeys() []auth.APIKey // without the stored ones
}

// Handler serves the admin listener.
type Handler struct {
	cfg          Config
	mux          *http.ServeMux
	crossOrigins *http.CrossOriginProtection
}

// endpoint is one path and what each method does there. GET answers HEAD too.
type endpoint struct {
	path    string
	open    bool // needs no token
	methods map[string]action
}

// action answers a request or returns why not: a *problem, or an error of
// ours, which is logged and answered 500.
type action func(w http.ResponseWriter, r *http.Request) error

// New returns the handler. It fails when a part is missing.
func New(cfg Config) (*Handler, error) {
	if cfg.TokenSHA256 == nil || cfg.Metrics == nil || cfg.Instance == nil || cfg.Config == nil || cfg.Revocations == nil ||
		cfg.Keys == nil || cfg.Sessions == nil || cfg.List == nil || cfg.Reload == nil || cfg.Explain == nil || cfg.Log == nil || cfg.Now == nil {
		return nil, errors.New("admin: the configuration lacks a part")
	}
	h := &Handler{cfg: cfg, mux: http.NewServeMux(), crossOrigins: http.NewCrossOriginProtection()}
	for _, e := range []endpoint{
		{"/livez", true, map[string]action{"GET": h.livez}},
		{"/readyz", true, map[string]action{"GET": h.readyz}},
		{"/metrics", true, map[string]action{"GET": h.metrics}},
		{"/v1/status", false, map[string]action{"GET": h.status}},
		{"/v1/routes", false, map[string]action{"GET": h.routes}},
		{"/v1/revocations", false, map[string]action{"GET": h.listRevocations, "POST": h.revoke}},
		{"/v1/keys", false, map[string]action{"GET": h.listKeys, "POST": h.makeKey}},
		{"/v1/keys/{id}", false, map[string]action{"DELETE": h.deleteKey}},
		{"/v1/sessions", false, map[string]action{"GET": h.listSessions}},
		{"/v1/sessions/{sid}", false, map[string]action{"DELETE": h.endSession}},
		{"/v1/reload", false, map[string]action{"POST": h.reload}},
		{"/v1/explain", false, map[string]action{"POST": h.explain}},
		{"/v1/", false, nil},
		{"/", true, nil},
	} {
		h.mux.Handle(e.path, h.serve(e))
	}
	return h, nil
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	h.mux.ServeHTTP(w, r)
}

func (h *Handler) serve(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !e.open {
			if err := cmp.Or(h.guard(r), h.authorize(r)); err != nil {
				h.answer(w, r, err)
				return
			}
		}
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		do := e.methods[method]
		switch {
		case e.methods == nil:
			h.answer(w, r, errNotFound)
		case do == nil:
			w.Header().Set("Allow", allow(e.methods))
			h.answer(w, r, newProblem(auth.MethodNotAllowed, ""))
		default:
			h.answer(w, r, do(w, r))
		}
	})
}

func allow(methods map[string]action) string {
	var names []string
	for name := range methods {
		names = append(names, name)
		if name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// answer sends the error as a problem; nil has been answered already.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		return
	}
	var p *problem
	if !errors.As(err, &p) {
		if !errors.Is(err, context.Canceled) {
			h.cfg.Log.Error("admin: request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		}
		p = newProblem(auth.Undecided, "see the log")
	}
	p.write(w)
}
