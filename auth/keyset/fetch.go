package keyset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/outbound"
)

// fetchTime bounds one reading in all, metadata included.
const fetchTime = 5 * time.Second

// fetch reads the key set from the issuer. life is how long it may be used.
func (r *Remote) fetch(ctx context.Context) (keys []*auth.Key, skipped []error, life time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	defer r.client.CloseIdleConnections() // the next is minutes away
	address := r.cfg.URL
	if r.cfg.Discovery != "" {
		if address, err = r.discover(ctx); err != nil {
			return nil, nil, 0, err
		}
	}
	data, header, err := r.get(ctx, address)
	if err != nil {
		return nil, nil, 0, err
	}
	keys, skipped, err = ParseJWKS(data, r.cfg.Algorithms)
	return keys, skipped, lifetime(header), err
}

// get returns the body of an answer, decompressed and of at most maxSetBytes.
func (r *Remote) get(ctx context.Context, address string) ([]byte, http.Header, error) {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	ask.Header.Set("Accept", "application/jwk-set+json, application/json")
	ask.Header.Set("User-Agent", "gatehouse")
	answer, err := r.client.Do(ask)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s: %w", address, outbound.StatusError(answer.StatusCode))
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxSetBytes+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", address, err)
	case len(data) > maxSetBytes:
		return nil, nil, fmt.Errorf("%s: the answer has more than %d bytes", address, maxSetBytes)
	}
	return data, answer.Header, nil
}

// discover returns where the issuer's metadata say that its keys are: those of
// OpenID Connect Discovery §4 or, where there are none, of RFC 8414 §3.
func (r *Remote) discover(ctx context.Context) (string, error) {
	addresses, err := metadataURLs(r.cfg.Discovery)
	if err != nil {
		return "", err
	}
	var data []byte
	for _, address := range addresses {
		data, _, err = r.get(ctx, address)
		if status := outbound.StatusError(0); !errors.As(err, &status) || status/100 != 4 {
			break
		}
	}
	if err != nil {
		return "", err
	}
	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(data, &metadata); err != nil {
		return "", fmt.Errorf("the metadata of %s: %w", r.cfg.Discovery, err)
	}
	if metadata.Issuer != r.cfg.Discovery {
		return "", fmt.Errorf("the metadata of %s are those of the issuer %.200q: write that one, byte for byte, if its tokens say so", r.cfg.Discovery, metadata.Issuer)
	}
	u, err := outbound.CheckURL(metadata.JWKSURI)
	if err != nil {
		return "", fmt.Errorf("the metadata of %s: jwks_uri %w", r.cfg.Discovery, err)
	}
	// Nobody elsewhere may send us to what listens on this machine.
	if u.Scheme == "http" && strings.HasPrefix(r.cfg.Discovery, "https:") {
		return "", fmt.Errorf("the metadata of %s: jwks_uri is not https", r.cfg.Discovery)
	}
	return metadata.JWKSURI, nil
}

// metadataURLs are where an issuer's metadata can be.
func metadataURLs(issuer string) ([]string, error) {
	u, err := outbound.CheckURL(issuer)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, errors.New("has a query, which no issuer with metadata has")
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	base := u.Scheme + "://" + u.Host
	return []string{
		base + path + "/.well-known/openid-configuration",
		base + "/.well-known/oauth-authorization-server" + path,
	}, nil
}
