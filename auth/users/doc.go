// Package users is where user names and passwords are checked: a [Directory]
// asks its sources in order, and the first that knows the name answers. A [File]
// and [Postgres] have hashes, which are verified here; [HTTP] has its own service
// verify the password.
//
// Who is refused must not learn why. A login that is refused costs one hash
// here, whether the name is unknown, the password wrong or the user disabled, of
// a kind that users really have; and none when the source asked last has a
// service of its own, whose work takes its place. The look-ups are the same too.
// Two things are left to see where there are several sources: a name that is
// refused by one never comes to a service that would be asked later, which
// should therefore be asked first; and while a database is down, those of a
// source before it are refused and all others are told to come again.
//
// Hashing is expensive on purpose. A [Hasher] bounds what it takes of the
// machine; there is one for the process.
//
// The package imports auth/token. It starts no goroutine but those that the
// PostgreSQL driver and net/http have for their connections.
package users
