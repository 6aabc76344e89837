// Package keyset has the keys of an issuer: PEM files, JSON Web Key Sets
// (RFC 7517), and the [Ring] of keys that are made here and kept in a store. It
// imports auth, and go-jose for the JWK format alone; it opens no file. It
// starts no goroutine: whoever runs [Ring.Run] owns the one that it needs.
package keyset
