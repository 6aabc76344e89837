package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Schema()
	if err != nil || !bytes.Equal(text, again) {
		t.Fatal("two calls give two schemas")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("gateway.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("gateway.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkSchema validates YAML as an editor would.
func checkSchema(t *testing.T, s *jsonschema.Schema, content []byte) error {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(content, &value); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	value, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

func TestSchemaAccepts(t *testing.T) {
	s := compileSchema(t)
	for name, content := range map[string][]byte{
		"full.yaml": full(t), "default": Template(Fresh{}), "fresh": Template(Fresh{APIKey: Hash{1}, JWTSecretFile: "a", AdminTokenFile: "b"}),
		"references": []byte("log: {access: \"${A}\", level: \"${B}\"}\nstore: {timeout: \"${C:-1s}\", wait_replicas: \"${D}\"}\nserver: {max_body_bytes: 0, drain_timeout: 0}\ntoken_service: {}\n"),
		"rates":      []byte("token_service: {login_limits: {per_ip: 0, per_account: off}}\n"),
	} {
		if err := checkSchema(t, s, content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What an editor marks as wrong by the schema, Load refuses, and the other way
// round for all that the shape alone can tell.
func TestC01SchemaRefuses(t *testing.T) {
	s := compileSchema(t)
	chdir(t)
	for _, content := range []string{
		"whatever: 1\n", "server: {listn: 1}\n", "server: {tls: {a: b}}\n", "issuers: [{name: a, issuer: b, jwk_url: c}]\n",
		"issuers: [{name: a, issuer: b, keys: [{algorithm: HS256, x: y}]}]\n", "routes: [{name: a}]\n", "routes: {a: b}\n",
		"log: {level: verbose}\n", "log: {access: 1}\n", "server: {idle_timeout: 1d}\n", "server: {max_header_bytes: 1KB}\n",
		"api_keys: {keys: [{id: a, sha256: b}]}\n", "api_keys: {header: 1}\n", "store: {wait_replicas: 17}\n", "defaults: {name: a}\n",
		"routes: [{name: a, match: /, upstream: [{weight: 1}]}]\n", "token_service: {isuer: a}\n", "token_service: {clients: [{id: a}]}\n",
		"token_service: {endpoints: [{dialect: oauth, path: /}]}\n", "token_service: {endpoints: [{dialect: oauth2}]}\n",
		"token_service: {login_limits: {per_ip: 10}}\n", "token_service: {login_limits: {per_ip: 10 / 5m}}\n",
		"token_service: {login_limits: {per_ip: 010/5m}}\n", "token_service: {users: [{postgres: {url: a}}]}\n",
		"issuers: [{name: a, issuer: b, key_ring: {algorithm: none}}]\n", "server: {trusted_proxies: [10.0.0.1]}\n",
	} {
		if checkSchema(t, s, []byte(content)) == nil {
			t.Errorf("the schema accepts %s", content)
		}
		if _, err := Parse("gateway.yaml", []byte(content), nil); err == nil {
			t.Errorf("Parse accepts %s", content)
		}
	}
}

func TestReferenceHasEveryPath(t *testing.T) {
	reference := Reference()
	count := 0
	var walk func(t reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
			if typ.Kind() == reflect.Slice {
				path += "[]"
			}
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || isScalar(typ) {
			return
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Anonymous {
				if f.IsExported() {
					walk(f.Type, path)
				}
				continue
			}
			at := strings.TrimPrefix(path+"."+f.Tag.Get("yaml"), ".")
			if f.Tag.Get("doc") == "" || f.Tag.Get("yaml") == "" {
				t.Errorf("%s: no key or no meaning", at)
			}
			count++
			if strings.HasPrefix(at, "defaults.") {
				continue // as in routes[]
			}
			if !strings.Contains(reference, "`"+at+"`") && !strings.Contains(reference, "## "+at) {
				t.Errorf("%s is not in the reference", at)
			}
			walk(f.Type, at)
		}
	}
	walk(reflect.TypeFor[Config](), "")
	walk(reflect.TypeFor[User](), "")
	if count < 80 {
		t.Errorf("only %d paths were looked at", count)
	}
	if n := regexp.MustCompile(`(?m)^\| [^\n]*\n`).FindAllString(reference, -1); len(n) < 70 {
		t.Errorf("only %d rows", len(n))
	}
}
