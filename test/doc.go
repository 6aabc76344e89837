// Package test holds the tests that look at the whole: the built binary, the
// files that are shipped with it, and the rules of the house.
package test
