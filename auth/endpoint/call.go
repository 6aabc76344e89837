package endpoint

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// call is one request, and what has become of it.
type call struct {
	endpoint *Endpoint
	operation
	name   string // of the operation, or of the grant once that is known
	w      http.ResponseWriter
	r      *http.Request
	caller auth.Caller

	parameters parameters
	request    token.Request
	status     int // of the answer; 0: 200, or what the reason of the refusal says
	outcome    auth.Outcome
}

// run answers the call.
func (c *call) run() {
	h := c.w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store") // RFC 6749 §5.1, as the next
	h.Set("Pragma", "no-cache")
	h.Set("Content-Type", "application/json")
	var text []byte
	answer, err := c.do()
	if err == nil {
		text, err = encode(answer)
	}
	if err == nil {
		c.status, c.outcome.Reason = http.StatusOK, auth.OK
	} else {
		text = c.refuse(err)
	}
	if err == nil && c.public {
		h.Set("Cache-Control", "public, max-age="+strconv.FormatInt(seconds(c.endpoint.cfg.MaxAge), 10))
		h.Set("Access-Control-Allow-Origin", "*") // pages of other sites may read it
		h.Del("Pragma")
	}
	if len(text) == 0 {
		h.Del("Content-Type")
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	c.w.WriteHeader(c.status)
	_, _ = c.w.Write(text) // a client that is gone needs no answer
}

// do checks the request's form, in the order in which it is cheapest, and has
// the operation done.
func (c *call) do() (answer any, err error) {
	reason := c.caller.Decision.Reason
	switch {
	case c.serve == nil:
		return nil, refusal(auth.RouteNotFound, "")
	case reason != auth.OK && !c.public:
		return nil, refusal(reason, "")
	case !slices.Contains(c.methods, c.r.Method):
		c.w.Header().Set("Allow", strings.Join(c.methods, ", "))
		return nil, refusal(auth.MethodNotAllowed, "")
	}
	// A cookie could be planted by another site's page, which knows an account.
	if c.endpoint.cfg.Cookie != "" {
		if err := crossOrigin.Check(c.r); err != nil {
			return nil, &token.Error{Reason: auth.OriginForbidden, Err: err}
		}
	}
	if err := checkQuery(c.r.URL.RawQuery); err != nil {
		return nil, err
	}
	if c.parameters, err = c.read(c.body); err != nil {
		return nil, err
	}
	c.request.Caller = c.caller
	if c.request.Client, err = c.clientAuth(); err != nil {
		return nil, err
	}
	return c.serve(c)
}

// crossOrigin looks at Sec-Fetch-Site, else compares Origin with Host. It is
// never changed.
var crossOrigin = http.NewCrossOriginProtection()

// encode writes an answer. A text that is not UTF-8, which can only be a part
// of what the client sent, is shown with replacement characters.
func encode(answer any) ([]byte, error) {
	if answer == nil {
		return nil, nil
	}
	text, err := json.Marshal(answer, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// granted takes down who got a token.
func (c *call) granted(g token.Grant, err error) (token.Grant, error) {
	c.outcome.Subject, c.outcome.TokenID = g.Subject, g.TokenID
	return g, err
}

// presented takes down whose token was presented.
func (c *call) presented(t *auth.Token, err error) (*auth.Token, error) {
	if err == nil {
		c.outcome.Subject, c.outcome.TokenID = t.Subject(), t.ID()
	}
	return t, err
}

// password logs a user in. The dialect gives the name.
func (c *call) password(g token.PasswordGrant) (token.Grant, error) {
	g.Request, g.Password, g.Scopes = c.request, c.parameters["password"], c.parameters.scopes()
	return c.granted(c.endpoint.cfg.Engine.Password(c.r.Context(), g))
}

func (c *call) refresh(refreshToken string, scopes []string) (token.Grant, error) {
	return c.granted(c.endpoint.cfg.Engine.Refresh(c.r.Context(), token.RefreshGrant{
		Request: c.request, RefreshToken: refreshToken, Scopes: scopes,
	}))
}

func (c *call) clientCredentials() (token.Grant, error) {
	return c.granted(c.endpoint.cfg.Engine.ClientCredentials(c.r.Context(), token.ClientCredentialsGrant{
		Request: c.request, Scopes: c.parameters.scopes(),
	}))
}

func (c *call) logout() (*auth.Token, error) {
	return c.presented(c.endpoint.cfg.Engine.Logout(c.r.Context(), token.Logout{Request: c.request}))
}

// seconds is how clients are told of a token's life.
func seconds(d time.Duration) int64 { return int64(d / time.Second) }
