// Package revocation holds the revocation list in memory and keeps it up to
// date from a store.
//
// It owns the [Mirror], which requests ask, and the [Feed], which fills it
// from a [Source]. It imports auth and the standard library; what a store is
// made of is none of its business. It starts no goroutines: whoever runs
// [Feed.Run] owns the one that it needs.
package revocation
