// Package admin is the handler of the admin listener: probes, metrics and the
// admin API.
//
// It sees the rest of the process through interfaces that it declares and the
// gateway satisfies; it may import auth. It starts no goroutine, and its
// timeouts are those of the server that it is given to.
//
// /livez, /readyz and /metrics are open to whoever reaches the listener. The
// API under /v1 wants the admin token and is switched off without one. Every
// answer says no-store, every error is application/problem+json (RFC 9457),
// and nothing is changed by a GET.
package admin
