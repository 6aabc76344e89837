package admin

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/auth"
)

// KeyStore is where API keys made at run time are kept. Any other error of it
// means that the store could not be had.
type KeyStore interface {
	// PutAPIKey returns nil only once the key cannot be lost, and
	// auth.ErrAPIKeyRevoked for an id that was revoked.
	PutAPIKey(ctx context.Context, key auth.APIKey) error
	// DeleteAPIKey removes the key with that hash, if there is one.
	DeleteAPIKey(ctx context.Context, sum [32]byte) error
	// APIKeys returns the keys made at run time, expired ones too.
	APIKeys(ctx context.Context) ([]auth.APIKey, error)
}

// keyRequest is the body of POST /v1/keys.
type keyRequest struct {
	ID       string   `json:"id"`
	NotAfter string   `json:"not_after"`
	Routes   []string `json:"routes"`
}

// keyAnswer is a key as the API shows it.
type keyAnswer struct {
	ID       string    `json:"id"`
	Key      string    `json:"key,omitempty"` // only in the answer that made it
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"not_after,omitzero"`
	Routes   []string  `json:"routes,omitempty"` // absent: all
	Source   string    `json:"source"`           // config or store
}

func keyAnswerOf(k auth.APIKey) keyAnswer {
	source := "config"
	if k.Stored {
		source = "store"
	}
	return keyAnswer{ID: k.ID, SHA256: hex.EncodeToString(k.SHA256[:]), NotAfter: k.NotAfter.UTC(), Routes: k.Routes, Source: source}
}

func (h *Handler) listKeys(w http.ResponseWriter, r *http.Request) error {
	stored, err := h.cfg.Keys.APIKeys(r.Context())
	if err != nil {
		return h.storeFailed("keys", err)
	}
	answers := []keyAnswer{}
	for _, key := range h.cfg.Config.APIKeys() {
		answers = append(answers, keyAnswerOf(key))
	}
	for _, key := range stored {
		key.Stored = true
		answers = append(answers, keyAnswerOf(key))
	}
	slices.SortFunc(answers, func(a, b keyAnswer) int {
		return strings.Compare(a.ID+"\x00"+a.SHA256, b.ID+"\x00"+b.SHA256)
	})
	return writeJSON(w, http.StatusOK, map[string][]keyAnswer{"keys": answers})
}

// makeKey makes a key, shows it this once and keeps its hash. The id may be in
// use already: that is how a key is rotated.
func (h *Handler) makeKey(w http.ResponseWriter, r *http.Request) error {
	var body keyRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	key, err := body.key(h.cfg.Config.Routes(), h.cfg.Now())
	if err != nil {
		return err
	}
	plain, sum := auth.NewAPIKeySecret()
	key.SHA256 = sum
	switch err := h.cfg.Keys.PutAPIKey(r.Context(), key); {
	case errors.Is(err, auth.ErrAPIKeyRevoked):
		return errKeyRevoked
	case err != nil:
		return h.storeFailed("put key", err)
	}
	h.cfg.Log.Info("admin: made an API key", "id", key.ID, "not_after", key.NotAfter)
	answer := keyAnswerOf(key)
	answer.Key = plain
	return writeJSON(w, http.StatusCreated, answer)
}

// key is the key that the body asks for, without its secret.
func (b keyRequest) key(routes []Route, now time.Time) (auth.APIKey, error) {
	key := auth.APIKey{ID: b.ID, Routes: b.Routes, Stored: true}
	if !auth.ValidAPIKeyID(b.ID) {
		return key, malformed("id: want %s", auth.WantAPIKeyID)
	}
	if b.NotAfter != "" {
		notAfter, err := time.Parse(time.RFC3339, b.NotAfter)
		if err != nil || !notAfter.After(now) || notAfter.Sub(now) > auth.MaxRevocationTTL {
			return key, malformed("not_after: want a time to come, such as 2027-01-31T12:00:00Z, or nothing for a key that does not expire")
		}
		key.NotAfter = notAfter
	}
	if b.Routes != nil && len(b.Routes) == 0 {
		return key, malformed("routes: leave it out for all routes; an empty list opens none")
	}
	for _, name := range b.Routes {
		if !slices.ContainsFunc(routes, func(route Route) bool { return route.Name == name }) {
			return key, malformed("routes: there is no route %q", name)
		}
	}
	return key, nil
}

// notToken reports whether a character may not be in a token (RFC 9110 §5.6.2).
func notToken(r rune) bool {
	alphanumeric := '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	return !alphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// deleteKey removes the stored keys with an id, or with ?sha256= the one of
// them that has this hash, as when a rotation ends.
func (h *Handler) deleteKey(w http.ResponseWriter, r *http.Request) error {
	id, hash := r.PathValue("id"), r.URL.Query().Get("sha256")
	stored, err := h.cfg.Keys.APIKeys(r.Context())
	if err != nil {
		return h.storeFailed("keys", err)
	}
	meant := func(k auth.APIKey) bool {
		return k.ID == id && (hash == "" || hash == hex.EncodeToString(k.SHA256[:]))
	}
	deleted := 0
	for _, key := range stored {
		if !meant(key) {
			continue
		}
		if err := h.cfg.Keys.DeleteAPIKey(r.Context(), key.SHA256); err != nil {
			return h.storeFailed("delete key", err)
		}
		deleted++
	}
	if deleted == 0 {
		if slices.ContainsFunc(h.cfg.Config.APIKeys(), meant) {
			return errKeyInConfig
		}
		return errKeyUnknown
	}
	h.cfg.Log.Info("admin: deleted API keys", "id", id, "count", deleted)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
