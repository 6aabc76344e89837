package admin

import (
	"context"
	"net/http"
	"time"
)

// Reloader reads the configuration again.
type Reloader interface {
	// Reload puts the file as it is now into force. The error says what is
	// wrong with it, without a secret; then the configuration before stays.
	Reload(ctx context.Context) error
}

func (h *Handler) reload(w http.ResponseWriter, r *http.Request) error {
	if err := h.cfg.Reload.Reload(r.Context()); err != nil {
		return namedProblem(http.StatusUnprocessableEntity, "config_invalid", "The configuration was not accepted; the one before stays in force", err.Error())
	}
	loaded := h.cfg.Instance.Status(h.cfg.Now()).Config.LoadedAt
	return writeJSON(w, http.StatusOK, map[string]time.Time{"loaded_at": loaded})
}
