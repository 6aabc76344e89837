package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const defaultFile = "../gateway.yaml"

// The checked-in gateway.yaml is what the structs say, and loads as it stands.
func TestDefaultFile(t *testing.T) {
	want := Template(Fresh{})
	if *update {
		if err := os.WriteFile(defaultFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(defaultFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not what Template gives: go test ./config -update writes it anew", defaultFile)
	}
	c, err := Load(LoadConfig{File: defaultFile})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Files()) != 1 || len(c.Warnings()) != 0 {
		t.Errorf("it needs the files %v, and warns %v", c.Files(), c.Warnings())
	}
	if len(c.Routes) != 1 || c.Routes[0].Auth != "api_key" || len(c.APIKeys.Keys) != 0 || len(c.Issuers) != 0 {
		t.Errorf("it lets somebody in: %+v", c)
	}
}

func TestFreshTemplate(t *testing.T) {
	chdir(t)
	c := mustParse(t, string(Template(Fresh{APIKey: Hash{7}, JWTSecretFile: "hs.secret", AdminTokenFile: "key.pem"})))
	if len(c.Warnings()) != 0 {
		t.Errorf("warnings: %v", c.Warnings())
	}
	if c.APIKeys.Keys[0].SHA256 != (Hash{7}) || c.Issuers[0].Keys[0].SecretFile == "" || c.Admin.TokenFile == "" || c.Routes[0].Auth != "both" || !c.Routes[0].Renew {
		t.Errorf("it does not say what was made: %+v", c)
	}
}

// With every key switched on, the template still has no unknown key, no wrong
// type and no default out of bounds.
func TestTemplateSwitchedOn(t *testing.T) {
	chdir(t)
	all := regexp.MustCompile(`(?m)^( *)#(\S)`).ReplaceAllString(string(Template(Fresh{})), "$1$2")
	all = strings.ReplaceAll(all, "64 hex digits", strings.Repeat("ab", 32))
	all = strings.NewReplacer("k1.pub.pem", "cert.pem", "keyring.secret", "hs.secret", "introspection.secret", "hs.secret").Replace(all)
	_, err := Parse("gateway.yaml", []byte(all), nil)
	want := map[string]bool{
		"api_keys.keys[0].routes[0]": true, // nor a route of the name in the example
		"routes[0].issuers":          true, // and its route asks for an API key alone
		"routes[0].require.scopes":   true,
		"routes[0].require.claims":   true,
		// Its listener has no TLS, nor has its upstream.
		"defaults.require.client_certificate":  true,
		"defaults.forward.client_certificate":  true,
		"routes[0].require.client_certificate": true,
		"routes[0].forward.client_certificate": true,
		"routes[0].upstream_tls":               true,
		// An issuer is of one kind.
		"issuers[0].keys":     true,
		"issuers[0].key_ring": true,
		"issuers[0].jwks_url": true,
		"issuers[0].renew":    true,
		// The database is not there.
		"token_service.users[0].postgres.url_env": true,
		// A client has what its grants need, and an endpoint what its dialect has.
		"token_service.clients[0].api_key_id":                true,
		"token_service.endpoints[0].client_credentials_path": true,
	}
	problems, _ := err.(Problems)
	for _, p := range problems {
		if !want[p.Path] {
			t.Errorf("%v", p)
		}
		delete(want, p.Path)
	}
	if len(want) > 0 {
		t.Errorf("not complained of: %v\n%s", want, all)
	}
}
