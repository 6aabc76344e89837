package admin

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/auth"
)

// RevocationStore is where revocations are kept. Any error of it means that
// the store could not be had: what it is asked was validated before.
type RevocationStore interface {
	// Revoke returns nil only once the entry cannot be lost.
	Revoke(ctx context.Context, entry auth.Revocation) error
	// Revocations calls yield with each entry in force and stops at its error.
	Revocations(ctx context.Context, yield func(auth.Revocation) error) error
}

// revocationRequest is the body of POST /v1/revocations.
type revocationRequest struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Issuer string `json:"issuer"`
	Before string `json:"before"`
	TTL    string `json:"ttl"`
}

// revocationAnswer is an entry as the API shows it: by its id, or by its key
// where the store lost the id and a replica wrote the entry back.
type revocationAnswer struct {
	Kind   string    `json:"kind"`
	ID     string    `json:"id,omitempty"`
	Key    string    `json:"key,omitempty"` // 32 hex digits
	Issuer string    `json:"issuer,omitempty"`
	Before time.Time `json:"before,omitzero"`
	Until  time.Time `json:"until"`
}

func answerOf(e auth.Revocation) revocationAnswer {
	a := revocationAnswer{Kind: e.Kind.String(), ID: e.ID, Issuer: e.Issuer, Before: e.Before.UTC(), Until: e.Until.UTC()}
	if e.ByKey.Valid() {
		a.Key = hex.EncodeToString(e.ByKey[:])
	}
	return a
}

func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) error {
	var body revocationRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	ask, err := body.request()
	if err != nil {
		return err
	}
	entry, err := ask.Entry(h.cfg.Config.Issuers(), h.cfg.Now())
	if err != nil {
		return malformed("%v", err)
	}
	if err := h.cfg.Revocations.Revoke(r.Context(), entry); err != nil {
		return h.storeFailed("revoke", err)
	}
	h.cfg.Log.Info("admin: revoked", "kind", entry.Kind.String(), "id", entry.ID, "issuer", entry.Issuer, "until", entry.Until)
	return writeJSON(w, http.StatusCreated, answerOf(entry))
}

// request is what the body asks for.
func (b revocationRequest) request() (auth.RevocationRequest, error) {
	kind, _ := auth.ParseKind(b.Kind) // no kind is refused with the names of all
	ask := auth.RevocationRequest{Kind: kind, ID: b.ID, Issuer: b.Issuer}
	var err error
	if b.Before != "" {
		if ask.Before, err = time.Parse(time.RFC3339, b.Before); err != nil || ask.Before.IsZero() {
			return ask, malformed("before: want a time such as 2026-01-31T12:00:00Z")
		}
	}
	if b.TTL != "" {
		if ask.TTL, err = time.ParseDuration(b.TTL); err != nil || ask.TTL == 0 {
			return ask, malformed("ttl: want a duration above 0, such as 24h")
		}
	}
	return ask, nil
}

// listRevocations streams the list: it may be long. Once it has begun, a store
// that fails can only break the answer off, which the client notices.
func (h *Handler) listRevocations(w http.ResponseWriter, r *http.Request) error {
	var text bytes.Buffer
	text.WriteString(`{"revocations":[`)
	begun := false
	flush := func() error {
		w.Header().Set("Content-Type", "application/json")
		begun = true
		_, err := text.WriteTo(w)
		return err
	}
	separator := ""
	err := h.cfg.Revocations.Revocations(r.Context(), func(entry auth.Revocation) error {
		text.WriteString(separator)
		separator = ","
		if err := json.MarshalWrite(&text, answerOf(entry), jsontext.AllowInvalidUTF8(true)); err != nil {
			return err
		}
		if text.Len() < 32<<10 {
			return nil
		}
		return flush()
	})
	if err != nil {
		failed := h.storeFailed("revocations", err)
		if begun {
			panic(http.ErrAbortHandler)
		}
		return failed
	}
	text.WriteString("]}\n")
	_ = flush() // fails only when the client has gone
	return nil
}

// storeFailed is the problem of a store that cannot be had; why is for the log.
func (h *Handler) storeFailed(operation string, err error) error {
	h.cfg.Log.Error("admin: the store failed", "operation", operation, "error", err)
	return newProblem(auth.StoreUnavailable, "nothing is promised to have been done; it is safe to try again")
}
