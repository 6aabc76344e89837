// Package keyset has the keys of an issuer: PEM files, JSON Web Key Sets
// (RFC 7517), the [Ring] of keys that are made here and kept in a store, and the
// [Remote] keys that an issuer publishes. It imports auth, auth/outbound, and go-jose for the
// JWK format alone; it opens no file. It starts no goroutine: whoever runs
// [Ring.Run] and [Remote.Run] owns the one that each needs.
package keyset
