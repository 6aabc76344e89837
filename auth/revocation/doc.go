// Package revocation holds the revocation list in memory, keeps it up to date
// from a store, and writes back what the store has lost. A list that does not
// fit is stood for by a filter, and the store is asked about what that is unsure
// of.
//
// It owns the [Mirror], which requests ask, and the [Feed], which fills it
// from a [Source] and heals that. It imports auth and the standard library; what
// a store is made of is none of its business. It starts no goroutines: whoever
// runs [Feed.Run] owns the one that it needs. What is promised, and why, is in
// docs/revocation.md.
package revocation
