package keyset

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/auth"
)

// Bounds on a key set, wherever it comes from.
const (
	maxSetBytes = 512 << 10
	maxSetKeys  = 100
)

// ParseJWKS reads a JSON Web Key Set (RFC 7517 §5). Keys that cannot verify
// signatures by one of the algorithms are left out, each with a reason in
// skipped; a set without any key that can is an error, as is one where a kid
// stands twice. A key that names no algorithm gets the first of the list that
// fits it. Only public keys count: a set with shared secrets or private keys in
// it has leaked them, and those are left out.
func ParseJWKS(data []byte, algorithms []string) (keys []*auth.Key, skipped []error, err error) {
	if len(data) > maxSetBytes {
		return nil, nil, fmt.Errorf("the key set has %d bytes, at most %d are read", len(data), maxSetBytes)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, nil, fmt.Errorf("no JSON Web Key Set: %w", err)
	}
	if len(set.Keys) > maxSetKeys {
		return nil, nil, fmt.Errorf("the key set has %d keys, at most %d are read", len(set.Keys), maxSetKeys)
	}
	kids := map[string]bool{}
	for i, raw := range set.Keys {
		key, err := parseJWK(raw, algorithms)
		if err != nil {
			skipped = append(skipped, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		if key.ID != "" && kids[key.ID] {
			return nil, nil, fmt.Errorf("kid %q stands twice in the key set", key.ID)
		}
		kids[key.ID] = true
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, skipped, errors.Join(append([]error{errors.New("the key set has no key that can be used")}, skipped...)...)
	}
	return keys, skipped, nil
}

func parseJWK(raw []byte, algorithms []string) (*auth.Key, error) {
	var jwk jose.JSONWebKey
	var use struct { // go-jose reads no more than `use`
		Operations []string `json:"key_ops"`
	}
	if jwk.UnmarshalJSON(raw) != nil || json.Unmarshal(raw, &use) != nil {
		return nil, errors.New("it cannot be read as a JSON Web Key") // the library's words may hold key material
	}
	if max(len(jwk.KeyID), len(jwk.Algorithm), len(jwk.Use)) > 128 {
		return nil, errors.New("its kid, alg or use is longer than 128 bytes")
	}
	if jwk.Use != "" && jwk.Use != "sig" {
		return nil, fmt.Errorf("kid %q: its use is %q, not sig", jwk.KeyID, jwk.Use)
	}
	if use.Operations != nil && !slices.Contains(use.Operations, "verify") {
		return nil, fmt.Errorf("kid %q: verify is not among its key_ops (RFC 7517 §4.3)", jwk.KeyID)
	}
	if !jwk.IsPublic() {
		return nil, fmt.Errorf("kid %q: it is a secret or a private key, which has no place in a key set", jwk.KeyID)
	}
	alg := jwk.Algorithm
	if alg == "" {
		alg = firstFit(jwk.Key, algorithms)
	}
	if !slices.Contains(algorithms, alg) {
		return nil, fmt.Errorf("kid %q: its algorithm %q is not among those allowed, %q", jwk.KeyID, alg, algorithms)
	}
	key, err := auth.NewVerificationKey(jwk.KeyID, alg, jwk.Key)
	if err != nil {
		return nil, fmt.Errorf("kid %q: %w", jwk.KeyID, err)
	}
	if isFactorable(jwk.Key) {
		return nil, fmt.Errorf("kid %q: its modulus can be factored (as in CVE-2017-15361)", jwk.KeyID)
	}
	return key, nil
}

// firstFit returns the first algorithm that the key can be bound to.
func firstFit(key crypto.PublicKey, algorithms []string) string {
	for _, alg := range algorithms {
		if _, err := auth.NewVerificationKey("", alg, key); err == nil {
			return alg
		}
	}
	return ""
}

// PublicJWKS writes the JSON Web Key Set (RFC 7517 §5) by which others can
// verify what the keys sign. Secrets are left out, and private halves.
func PublicJWKS(keys []*auth.Key) ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		if public := k.Public(); public != nil {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: public, KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"})
		}
	}
	return json.Marshal(set)
}
