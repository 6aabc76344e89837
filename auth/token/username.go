package token

import "golang.org/x/text/secure/precis"

// CanonicalUsername returns the one spelling of a user name that it is looked
// up, counted and compared by: letters in lower case, wide forms as narrow ones,
// composed (RFC 8265 §3.3). ok is false for what cannot be a user name.
func CanonicalUsername(name string) (canonical string, ok bool) {
	canonical, err := precis.UsernameCaseMapped.String(name)
	return canonical, err == nil && canonical != ""
}
