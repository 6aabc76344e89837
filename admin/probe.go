package admin

import (
	"net/http"
	"time"
)

// State is how a part of the process is.
type State string

// The states.
const (
	StateOK       State = "ok"
	StateDegraded State = "degraded" // shown, but the replica stays ready
	StateFailing  State = "failing"  // the replica is not ready
)

// Part is something that readiness depends on.
type Part struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"` // what is wrong; never a secret
}

// Instance is the running process.
type Instance interface {
	// Parts are what readiness depends on, the draining among them.
	Parts(now time.Time) []Part
	// Status is the state for people; its Parts are filled in from Parts.
	Status(now time.Time) Status
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool   `json:"ready"`
	Parts []Part `json:"parts"`
}

func (h *Handler) readiness() readiness {
	answer := readiness{Ready: true, Parts: h.cfg.Instance.Parts(h.cfg.Now())}
	for _, part := range answer.Parts {
		answer.Ready = answer.Ready && part.State != StateFailing
	}
	return answer
}

// livez says that the process can answer, and nothing about what it depends
// on: a restart would not bring that back.
func (h *Handler) livez(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]bool{"live": true})
}

func (h *Handler) readyz(w http.ResponseWriter, _ *http.Request) error {
	answer := h.readiness()
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	return writeJSON(w, status, answer)
}

func (h *Handler) metrics(w http.ResponseWriter, r *http.Request) error {
	h.cfg.Metrics.ServeHTTP(w, r)
	return nil
}
