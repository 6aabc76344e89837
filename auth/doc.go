// Package auth is the core: it decides whether a request is allowed, as whom,
// and whether a renewal of its token is due.
//
// A [Gate] holds what is common to all routes; a [Policy] is what one route
// asks for. [Gate.Decide] goes from bytes ([Credentials]) over verified
// [Claims] to a [Principal] and the header values for the upstream. Deciding
// does no I/O and takes no context: keys, revocations and API keys are in
// memory, kept up to date by others.
//
// The package imports the standard library without net/http, golang-jwt (in
// jws.go alone), a JSON tokenizer and the token cache's library. It starts no
// goroutine.
package auth
