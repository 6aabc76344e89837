// Package gateway is the composition root: it turns a configuration into
// values, holds them together as one snapshot that a reload swaps, and owns
// every goroutine that outlives a request.
//
// It imports everything below it: config, store, admin, proxy, auth, metrics.
package gateway
