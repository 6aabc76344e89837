package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// SessionStore is where the sessions of the token service are kept. Any error
// of it but token.ErrNoSession means that the store could not be had.
type SessionStore interface {
	// Sessions returns the sessions of a subject that are not over.
	Sessions(ctx context.Context, issuer, subject string) ([]token.Session, error)
	Session(ctx context.Context, id string) (token.Session, error)
	// EndSession removes a session; one that is not there is no error.
	EndSession(ctx context.Context, id string) error
}

// sessionAnswer is a session as the API shows it.
type sessionAnswer struct {
	ID        string    `json:"sid"`
	Issuer    string    `json:"issuer"`
	Subject   string    `json:"sub"`
	ClientID  string    `json:"client_id,omitempty"`
	Scopes    []string  `json:"scopes,omitempty"`
	Address   string    `json:"address,omitempty"` // of the client, at login
	AuthTime  time.Time `json:"auth_time"`
	Refreshed time.Time `json:"refreshed"`
	Expires   time.Time `json:"expires"`
}

// listSessions shows the live sessions of a subject, newest first.
func (h *Handler) listSessions(w http.ResponseWriter, r *http.Request) error {
	subject, only := r.URL.Query().Get("subject"), r.URL.Query().Get("issuer")
	if subject == "" {
		return malformed("subject: say whose sessions, as in /v1/sessions?subject=alice")
	}
	answers, known := []sessionAnswer{}, false
	for _, issuer := range h.cfg.Config.Issuers() {
		if only != "" && issuer.Name != only {
			continue
		}
		known = true
		sessions, err := h.cfg.Sessions.Sessions(r.Context(), issuer.Name, subject)
		if err != nil {
			return h.storeFailed("sessions", err)
		}
		for _, s := range sessions {
			revoked, err := s.Revoked(r.Context(), h.cfg.List, h.cfg.Now())
			if err != nil {
				return h.storeFailed("sessions", err)
			}
			if !revoked {
				answers = append(answers, answerOfSession(s))
			}
		}
	}
	if !known && only != "" {
		return malformed("issuer: there is no issuer %q", only)
	}
	slices.SortStableFunc(answers, func(a, b sessionAnswer) int { return b.AuthTime.Compare(a.AuthTime) })
	return writeJSON(w, http.StatusOK, map[string][]sessionAnswer{"sessions": answers})
}

func answerOfSession(s token.Session) sessionAnswer {
	return sessionAnswer{
		ID: s.ID, Issuer: s.Issuer, Subject: s.Subject, ClientID: s.ClientID, Scopes: s.Scopes, Address: s.Address,
		AuthTime: s.AuthTime.UTC(), Refreshed: s.Refreshed.UTC(), Expires: s.Expires.UTC(),
	}
}

// endSession revokes a session, then forgets it. One that is not kept here can
// be that of another issuer, or one that renewal began: it is revoked all the
// same.
func (h *Handler) endSession(w http.ResponseWriter, r *http.Request) error {
	sid := r.PathValue("sid")
	ask := auth.RevocationRequest{Kind: auth.KindSession, ID: sid, Issuer: r.URL.Query().Get("issuer")}
	switch s, err := h.cfg.Sessions.Session(r.Context(), sid); {
	case err == nil:
		ask.Issuer = s.Issuer
	case !errors.Is(err, token.ErrNoSession):
		return h.storeFailed("session", err)
	}
	entry, err := ask.Entry(h.cfg.Config.Issuers(), h.cfg.Now())
	if err != nil {
		return malformed("%v", err)
	}
	if err := h.cfg.Revocations.Revoke(r.Context(), entry); err != nil { // first: this is what ends it everywhere
		return h.storeFailed("revoke", err)
	}
	if err := h.cfg.Sessions.EndSession(r.Context(), sid); err != nil {
		return h.storeFailed("end session", err)
	}
	h.cfg.Log.Info("admin: ended a session", "sid", sid, "issuer", entry.Issuer)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
