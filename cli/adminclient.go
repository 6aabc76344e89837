package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"gatehouse/config"
)

// adminTimeout bounds a question to the admin listener.
const adminTimeout = 3 * time.Second

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 16 << 20

// adminGet asks the admin listener at that address, with that token unless it
// is empty. The answer may have any status.
func adminGet(ctx context.Context, address, path, token string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	// No proxy of the environment: the listener is near, and the token is not
	// for others.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return 0, nil, fmt.Errorf("no gateway answers on %s: %w", address, errors.Unwrap(err))
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	return answer.StatusCode, body, err
}

// dialable turns a listen address into one that can be asked: every interface
// becomes loopback.
func dialable(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		return "", fmt.Errorf("admin.listen %q does not say where a running gateway is: give its address with --admin", listen)
	}
	switch ip := net.ParseIP(host); {
	case host == "", ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}

// adminToken reads the admin token of a config.
func adminToken(cfg *config.Config) (string, error) {
	token := cfg.Admin.Token
	if cfg.Admin.TokenFile != "" {
		var err error
		if token, err = cfg.Admin.TokenFile.ReadSecret(); err != nil {
			return "", err
		}
	}
	if token == "" {
		return "", errors.New("the config has no admin token, so that the admin API is off: set admin.token_file")
	}
	return token.Reveal(), nil
}

// problemOf is an answer of the admin API that is an error.
func problemOf(status int, body []byte) error {
	var problem struct{ Code, Title, Detail string }
	if json.Unmarshal(body, &problem) != nil || problem.Code == "" {
		return fmt.Errorf("the admin listener answered %d: is that a gatehouse?", status)
	}
	if problem.Detail != "" {
		problem.Title += ": " + problem.Detail
	}
	return fmt.Errorf("the admin API answered %d %s: %s", status, problem.Code, problem.Title)
}
