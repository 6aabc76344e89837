// Package token is the token service's engine: it issues access and refresh
// tokens, takes them back, and tells what they are. It knows no wire format:
// auth/endpoint translates what clients send into its requests, and its answers
// and errors into what they expect.
//
// There is one file for each operation: [Engine.Password], [Engine.Refresh],
// [Engine.ClientCredentials], [Engine.ClientSecret], [Engine.Exchange],
// [Engine.Revoke], [Engine.Logout], [Engine.Introspect] and [Engine.Info]. A
// token is signed, then what it needs is stored, then it is answered: a part that
// fails means no token, and one that cannot sign leaves the store as it was.
//
// An access token is a JWT (RFC 7519; RFC 9068 where its key is asymmetric), a
// refresh token is random and opaque, so that neither can be taken for the
// other. Both belong to a [Session], by whose `sid` all of them die together.
//
// The package imports auth. It starts no goroutine.
package token
