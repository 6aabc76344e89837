package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// guard refuses what a web page could have made a browser send: a request by a
// name that somebody else's DNS may own (rebinding), and a change from another
// origin. Probes and metrics, which change nothing and tell no secret, answer
// to any name: those who scrape have their own for us.
func (h *Handler) guard(r *http.Request) error {
	if !hostAllowed(r.Host, h.cfg.Hosts) {
		return errHostUnknown
	}
	if h.crossOrigins.Check(r) != nil {
		return errCrossOrigin
	}
	return nil
}

// privateSuffixes are top-level names that public DNS does not delegate, so
// that no stranger can point one at us (RFC 6761 §6.3, RFC 6762 §3; ICANN set
// .internal aside; .svc and .cluster.local are Kubernetes').
var privateSuffixes = []string{".localhost", ".local", ".internal", ".svc"}

// hostAllowed reports whether the Host header (RFC 9110 §7.2) names this
// listener: by an address, by a name without a dot, by one under a private
// suffix, or by one of hosts.
func hostAllowed(header string, hosts []string) bool {
	host := header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	if host == "" || !strings.Contains(host, ".") {
		return host != ""
	}
	return slices.ContainsFunc(privateSuffixes, func(suffix string) bool { return strings.HasSuffix(host, suffix) }) ||
		slices.ContainsFunc(hosts, func(name string) bool { return strings.EqualFold(name, host) })
}

// authorize wants the admin token. Hashing both sides first makes them equally
// long, so that the comparison tells nothing by its time.
func (h *Handler) authorize(r *http.Request) error {
	want := h.cfg.TokenSHA256()
	if want == [32]byte{} {
		return errNotFound
	}
	lines := r.Header["Authorization"]
	if len(lines) != 1 {
		return errTokenWrong
	}
	scheme, token, _ := strings.Cut(lines[0], " ")
	got := sha256.Sum256([]byte(strings.TrimLeft(token, " ")))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return errTokenWrong
	}
	return nil
}
