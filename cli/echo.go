package cli

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

// echo is an upstream that answers what it was asked.
type echo struct {
	address  string
	listener net.Listener
	server   *http.Server
}

// newEcho listens on any free port of loopback.
func newEcho() (*echo, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &echo{l.Addr().String(), l, &http.Server{
		Handler: http.HandlerFunc(answerEcho), ReadHeaderTimeout: 5 * time.Second,
	}}, nil
}

// serve answers until close is called.
func (e *echo) serve() error {
	if err := e.server.Serve(e.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (e *echo) close() { _ = e.server.Close() }

// answerEcho tells the request and what the gateway has said of its caller.
func answerEcho(w http.ResponseWriter, r *http.Request) {
	told := map[string]string{}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-") {
			told[name] = strings.Join(values, ", ")
		}
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(map[string]any{"method": r.Method, "path": r.RequestURI, "headers": told}) // fails when the client has gone
}
