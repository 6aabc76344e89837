package admin

import (
	"net/http"
	"time"
)

// Status is the running instance's state for people and for
// `gatehouse status`.
type Status struct {
	Version string    `json:"version"`
	Commit  string    `json:"commit"`
	Go      string    `json:"go"`
	Started time.Time `json:"started"`
	Ready   bool      `json:"ready"`
	Parts   []Part    `json:"parts"`

	Config      ConfigStatus      `json:"config"`
	Revocations RevocationsStatus `json:"revocations"`
	Issuers     []IssuerStatus    `json:"issuers"`
}

// ConfigStatus tells which configuration is in force.
type ConfigStatus struct {
	File     string    `json:"file"`
	LoadedAt time.Time `json:"loaded_at"`
	Error    string    `json:"error,omitempty"` // why the file as it is now is not in force
}

// RevocationsStatus tells of this replica's copy of the revocation list.
type RevocationsStatus struct {
	Entries    map[string]int `json:"entries"`     // by kind
	AgeSeconds float64        `json:"age_seconds"` // since it was known to be complete
	Stale      bool           `json:"stale"`
	FilterBits int            `json:"filter_bits,omitempty"` // of the filter in place of the list; 0: there is none
}

// IssuerStatus tells of an issuer's keys, or of how it answers.
type IssuerStatus struct {
	Name   string   `json:"name"`
	KeyIDs []string `json:"key_ids"`
	Signer string   `json:"signer,omitempty"` // kid of the key that signs renewals
	Ready  bool     `json:"ready"`            // its keys can be had, or it answered when it was last asked
	// Introspection is true where the issuer is asked about its tokens; it has
	// no keys then.
	Introspection bool `json:"introspection,omitempty"`
}

// Route is a route as it is in force.
type Route struct {
	Name      string   `json:"name"`
	Match     string   `json:"match"`
	Upstreams []string `json:"upstreams"`
	Auth      string   `json:"auth"`
	Issuers   []string `json:"issuers"`
	Scopes    []string `json:"scopes"`
	Renew     bool     `json:"renew"`
	WebSocket bool     `json:"websocket"`
}

func (h *Handler) status(w http.ResponseWriter, _ *http.Request) error {
	answer := h.cfg.Instance.Status(h.cfg.Now())
	ready := h.readiness()
	answer.Ready, answer.Parts = ready.Ready, ready.Parts
	return writeJSON(w, http.StatusOK, answer)
}

func (h *Handler) routes(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string][]Route{"routes": h.cfg.Config.Routes()})
}
