package admin

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"time"
)

// Explainer takes the decision that a request would meet, and forwards nothing.
type Explainer interface {
	// Explain returns what is to be encoded as JSON: every step of the
	// decision, without a secret.
	Explain(r *http.Request, now time.Time) any
}

// ExplainRequest is a request to be explained, and the body of
// POST /v1/explain.
type ExplainRequest struct {
	Method  string          `json:"method"` // empty: GET
	Target  string          `json:"target"` // path and query as on the request line
	Host    string          `json:"host"`   // empty: localhost
	Headers []ExplainHeader `json:"headers"`
	// ClientCertificate is the chain in PEM that the client has shown; empty:
	// none. Its key is not asked for.
	ClientCertificate string `json:"client_certificate"`
}

// ExplainHeader is one header line. Names may repeat.
type ExplainHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// HTTP returns the request as the server would have read it from the wire, as
// if from a client on loopback. The error says what is malformed.
func (e ExplainRequest) HTTP() (*http.Request, error) {
	if e.Method == "" {
		e.Method = http.MethodGet
	}
	if e.Host == "" {
		e.Host = "localhost"
	}
	if !strings.HasPrefix(e.Target, "/") || strings.ContainsAny(e.Target, " \r\n") {
		return nil, malformed("target: want a path that begins with /, and a query if need be")
	}
	var text strings.Builder
	text.WriteString(e.Method + " " + e.Target + " HTTP/1.1\r\nHost: " + e.Host + "\r\n")
	for _, line := range e.Headers {
		text.WriteString(line.Name + ": " + line.Value + "\r\n")
		if line.Name == "" || strings.ContainsFunc(line.Name, notToken) || strings.ContainsFunc(line.Value, notFieldValue) {
			return nil, malformed("headers: a name is empty or has a character that no name may have, or there is a control character in a value")
		}
		if strings.EqualFold(line.Name, "Host") {
			return nil, malformed("headers: give the Host as host")
		}
	}
	text.WriteString("\r\n")
	if strings.ContainsAny(e.Method+e.Host, " \r\n") {
		return nil, malformed("method, host: there is a space or a line break in it")
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text.String())))
	if err != nil {
		return nil, malformed("the request cannot be read: method, target or a header is malformed")
	}
	r.RemoteAddr = "127.0.0.1:0"
	if e.ClientCertificate != "" {
		chain, err := certificates(e.ClientCertificate)
		if err != nil {
			return nil, err
		}
		r.TLS = &tls.ConnectionState{PeerCertificates: chain}
	}
	return r, nil
}

// certificates reads a chain, whose first certificate is the client's.
func certificates(text string) (chain []*x509.Certificate, err error) {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, malformed("client_certificate: there is something else than certificates in it")
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, malformed("client_certificate: want certificates in PEM")
	}
	return chain, nil
}

// notFieldValue reports whether a character may not be in a field value
// (RFC 9110 §5.5).
func notFieldValue(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

func (h *Handler) explain(w http.ResponseWriter, r *http.Request) error {
	var body ExplainRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	subject, err := body.HTTP()
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, h.cfg.Explain.Explain(subject.WithContext(r.Context()), h.cfg.Now()))
}
