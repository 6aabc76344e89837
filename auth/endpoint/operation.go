package endpoint

import (
	"net/http"
	"strings"
)

// operation is what one path is for.
type operation struct {
	path    string
	name    string // of what it does, for metrics: from a closed set
	methods []string
	body    body
	client  clientRule
	public  bool // for everybody: no API key is asked for, and caches may keep it
	// serve returns what is answered with 200, nil for an empty body.
	serve func(*call) (any, error)
}

// clientRule says how clients name themselves, other than by API key.
type clientRule uint8

const (
	noClient       clientRule = iota // they do not
	optionalClient                   // if they like, and one that nobody configured counts as none
	namedClient                      // they must
)

// Methods of operations. GET brings HEAD along only where it changes nothing.
var (
	post      = []string{http.MethodPost}
	get       = []string{http.MethodGet, http.MethodHead}
	getOrPost = []string{http.MethodGet, http.MethodPost}
)

// below joins an operation's path to the endpoint's.
func (cfg Config) below(path string) string { return strings.TrimSuffix(cfg.Path, "/") + path }
