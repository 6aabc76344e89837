package users

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"

	"gatehouse/auth/token"
)

// maxAnswerBytes bounds what a service answers.
const maxAnswerBytes = 64 << 10

// HTTPConfig configures an HTTP source.
type HTTPConfig struct {
	Name string
	// URL is asked at a login: POST {"username", "password"}, the name in its
	// canonical spelling, the password as it was typed. The answers are 200
	// {"id", "email"?, "claims"?, "disabled"?}, where the id is a string or an
	// integer; and 401 for a name that is unknown there or another password.
	// Any other (403, 404 and 429 too: they are signs of a wrong URL or a busy
	// service, not of a wrong password) means that users cannot be looked up.
	URL string
	// LookupURL is asked by refreshes: POST {"username", "id"}, answered the
	// same way; 401, 404 and 410 mean that the user is gone. Empty: a refresh
	// keeps what was said at the login.
	LookupURL string
	Timeout   time.Duration // of one answer, connecting included
	TLS       *tls.Config   // whom to believe; nil: the system's authorities
}

// HTTP is a service that checks passwords.
type HTTP struct {
	cfg    HTTPConfig
	client *http.Client
}

var _ delegate = (*HTTP)(nil)

// NewHTTP returns a source. It fails when the configuration is wrong.
func NewHTTP(cfg HTTPConfig) (*HTTP, error) {
	if cfg.Name == "" || cfg.Timeout <= 0 {
		return nil, errors.New("users: an HTTP source needs a name and a timeout")
	}
	if !isURL(cfg.URL) || cfg.LookupURL != "" && !isURL(cfg.LookupURL) {
		return nil, errors.New("users: a URL of an HTTP source must be written as https://host/path")
	}
	return &HTTP{cfg: cfg, client: &http.Client{
		// No proxy from the environment: passwords go where the configuration says.
		// Connecting goes on when a question's time is over, and has a bound of its
		// own: else a service that only accepts would use up the connections for good.
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: cfg.Timeout}).DialContext,
			TLSHandshakeTimeout:    cfg.Timeout,
			MaxIdleConnsPerHost:    16,
			MaxConnsPerHost:        64,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: maxAnswerBytes,
			TLSClientConfig:        cfg.TLS,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// Name implements Source.
func (h *HTTP) Name() string { return h.cfg.Name }

// Close closes idle connections.
func (h *HTTP) Close() { h.client.CloseIdleConnections() }

func (h *HTTP) login(ctx context.Context, username, password string) (Record, error) {
	if !utf8.ValidString(password) {
		return Record{}, errUnknown // JSON cannot say it
	}
	return h.ask(ctx, h.cfg.URL, map[string]string{"username": username, "password": password}, http.StatusUnauthorized)
}

func (h *HTTP) reread(ctx context.Context, s token.Session) (Record, error) {
	if h.cfg.LookupURL != "" {
		return h.ask(ctx, h.cfg.LookupURL, map[string]string{"username": s.Username, "id": s.Subject},
			http.StatusUnauthorized, http.StatusNotFound, http.StatusGone)
	}
	r := Record{ID: s.Subject}
	if len(s.Claims) == 0 {
		return r, nil
	}
	if err := jsonv2.Unmarshal(s.Claims, &r.Claims); err != nil {
		return Record{}, errors.New("the claims that the session has of the login cannot be read")
	}
	return r, nil
}

// ask sends a question. An answer with one of those statuses is errUnknown.
func (h *HTTP) ask(ctx context.Context, url string, question map[string]string, unknown ...int) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	body, err := jsonv2.Marshal(question, jsonv2.Deterministic(true))
	if err != nil {
		return Record{}, errors.New("the question cannot be written as JSON")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return Record{}, cause(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "gatehouse")
	answer, err := h.client.Do(r)
	if err != nil {
		return Record{}, cause(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes+1))
	switch {
	case slices.Contains(unknown, answer.StatusCode):
		return Record{}, errUnknown
	case answer.StatusCode != http.StatusOK:
		return Record{}, fmt.Errorf("the service answered with status %d", answer.StatusCode)
	case err != nil:
		return Record{}, cause(err)
	case len(text) > maxAnswerBytes:
		return Record{}, fmt.Errorf("the service answered with more than %d bytes", maxAnswerBytes)
	}
	return answered(text)
}

// cause is what went wrong without the URL, which may hold credentials.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

var integer = regexp.MustCompile(`^-?[0-9]{1,40}$`)

// answered reads the answer about a user.
func answered(text []byte) (Record, error) {
	var a struct {
		ID       json.RawMessage            `json:"id"`
		Email    string                     `json:"email"`
		Disabled bool                       `json:"disabled"`
		Claims   map[string]json.RawMessage `json:"claims"`
	}
	if err := jsonv2.Unmarshal(text, &a, jsonv2.RejectUnknownMembers(true)); err != nil {
		return Record{}, fmt.Errorf("the service's answer must be a JSON object with id, email, claims and disabled alone%s", place(err))
	}
	r := Record{Email: a.Email, Disabled: a.Disabled, Claims: a.Claims}
	if integer.Match(a.ID) {
		r.ID = string(a.ID) // digit by digit
	} else if err := jsonv2.Unmarshal(a.ID, &r.ID); err != nil {
		return Record{}, errors.New("the service's answer has no id that is a string or an integer")
	}
	return r, nil
}

// place is where in the answer the error is; the values stay out of it.
func place(err error) string {
	var semantic *jsonv2.SemanticError
	if errors.As(err, &semantic) && semantic.JSONPointer != "" {
		return fmt.Sprintf(", unlike %s", semantic.JSONPointer)
	}
	return ""
}
