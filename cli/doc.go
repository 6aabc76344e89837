// Package cli is the command line: one verb a file. A verb reads flags, files
// and standard input, calls the packages that do the work, and says what came
// of it; it decides nothing that the gateway would decide.
//
// It may import everything, and is the only package that knows cobra. Verbs
// write answers to standard output and everything else to standard error,
// without colours. Secrets are read from files and standard input, never from
// flags, because every user of a machine can read its command lines.
//
// serve and demo start goroutines that end before they return.
//
// Exit status: 0 done, 1 could not, 2 the command line is wrong, 3 explain
// says that the request would be denied.
package cli
