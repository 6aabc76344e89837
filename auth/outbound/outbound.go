// Package outbound is how issuers are asked: where the configuration says, over
// a way on which nobody can change the answer, and nowhere else. It imports the
// standard library alone and starts no goroutine.
package outbound

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// MaxHeaderBytes bounds the header of an answer.
	MaxHeaderBytes = 64 << 10
	idleTimeout    = time.Minute
)

// NewClient goes where it is told: not where the environment or an answer says.
// It bounds connecting by connect and keeps that many idle connections to one
// host; who uses it bounds the rest. t is nil where the system's authorities are
// to be believed.
func NewClient(t *tls.Config, connect time.Duration, idle int) *http.Client {
	if t == nil {
		t = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: connect}).DialContext,
			TLSClientConfig:        t.Clone(),
			TLSHandshakeTimeout:    connect,
			MaxResponseHeaderBytes: MaxHeaderBytes,
			MaxIdleConnsPerHost:    idle,
			IdleConnTimeout:        idleTimeout,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// StatusError is an answer with a status other than 200.
type StatusError int

// Error says what to do about a redirect.
func (e StatusError) Error() string {
	if e/100 == 3 {
		return fmt.Sprintf("the answer has status %d, and redirects are not followed: configure the address that it leads to", int(e))
	}
	return fmt.Sprintf("the answer has status %d", int(e))
}

// CheckURL refuses a URL over which an answer could be changed on its way. The
// error goes on where the name of what is wrong was.
func CheckURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, errors.New("is not a URL such as https://auth.example.com")
	case u.User != nil:
		return nil, errors.New("must not contain credentials: it is shown in logs")
	case u.Fragment != "":
		return nil, errors.New("has a fragment, which is never sent")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("could be answered by anybody on the way: use https, or http on loopback")
	}
	return u, nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback() // which nil, no address, is not
}
