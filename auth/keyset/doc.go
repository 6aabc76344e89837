// Package keyset reads the keys of an issuer: PEM files and JSON Web Key Sets
// (RFC 7517). It imports auth, and go-jose for the JWK format alone. It starts
// no goroutine and opens no file: it is given bytes.
package keyset
