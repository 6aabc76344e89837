package config

import (
	"reflect"
	"strings"
	"testing"
)

// Every single value outside lists can be set by its variable.
func TestC04EnvironmentSetsEveryPath(t *testing.T) {
	values := map[string]string{
		"true or false": "true", "number": "3", "duration": "1m", "size": "20KiB", "file": "hs.secret", "secret": "s3cret", "store URL": "redis://h:1", "rate": "3/1m",
	}
	seen := map[string]string{}
	eachFixed(reflect.TypeFor[Config](), "", func(path string, f field) {
		if f.typ.Kind() == reflect.Slice && f.typ != reflect.TypeFor[Upstreams]() {
			return
		}
		name := variable(path)
		if seen[name] != "" {
			t.Errorf("%s sets %s and %s", name, seen[name], path)
		}
		seen[name] = path
		value := "127.0.0.1:1"
		switch {
		case f.oneof != nil:
			value = f.oneof[len(f.oneof)-1]
		case f.typ == reflect.TypeFor[Upstreams]():
			value = "http://127.0.0.1:9999"
		case values[notations[f.typ].noun] != "":
			value = values[notations[f.typ].noun]
		case strings.Contains(path, "header") || strings.Contains(path, "api_key_id"):
			value = "X-Name"
		case strings.HasSuffix(path, "strip_prefix"):
			value = "/api"
		}
		t.Run(path, func(t *testing.T) {
			chdir(t)
			d := newDecoder(&source{positions: map[string]position{}}, nil, environment{})
			c := d.structure(reflect.TypeFor[Config]()).defaults.Interface().(Config)
			overrides, problems, _ := newEnvironment([]string{name + "=" + value})
			d.overrides = overrides
			d.decodeStruct("", nil, reflect.ValueOf(&c).Elem())
			if len(problems)+len(d.problems) > 0 {
				t.Fatal(problems, d.problems)
			}
			got := reflect.ValueOf(c)
			for step := range strings.SplitSeq(path, ".") {
				got = reflect.Indirect(got)
				for _, f := range fieldsOf(got.Type()) {
					if f.name == step {
						got = got.FieldByIndex(f.index)
						break
					}
				}
			}
			text := got.String()
			if u, ok := got.Interface().(Upstreams); ok {
				text = u[0].URL
			} else if got.Kind() != reflect.String {
				text = encodeScalar(got).Value
			}
			if !strings.HasSuffix(text, value) {
				t.Errorf("%s=%s gives %s", name, value, text)
			}
		})
	})
	if len(seen) < 30 {
		t.Errorf("only %d paths", len(seen))
	}
}

func TestEnvironmentWins(t *testing.T) {
	chdir(t)
	content := `
log: {level: "${UNSET}", access: true}
defaults: {auth: api_key, forward: {api_key_id: X-App}}
routes: [{name: a, match: /}]
`
	c := mustParse(t, content,
		"GATEHOUSE_LOG_LEVEL=warn", "GATEHOUSE_LOG_ACCESS=false", "GATEHOUSE_DEFAULTS_FORWARD_API_KEY_ID=",
		"GATEHOUSE_DEFAULTS_UPSTREAM=http://127.0.0.1:5", "GATEHOUSE_ADMIN_TOKEN=${HOME}")
	same(t, "level", c.Log.Level, "warn")
	same(t, "access", c.Log.Access, false)
	same(t, "an empty variable counts", c.Routes[0].Forward.APIKeyID, "")
	same(t, "upstream", c.Routes[0].Upstream, Upstreams{{"http://127.0.0.1:5", 1}})
	same(t, "no references in variables", c.Admin.Token.Reveal(), "${HOME}")
}

func TestEnvironmentWarnings(t *testing.T) {
	chdir(t)
	c := mustParse(t, "log: {level: info}\n",
		"GATEHOUSE_SERVER_LISTN=x", "GATEHOUSE_PORT=tcp://10.0.0.1:8080", "GATEHOUSE_SERVICE_HOST=10.0.0.1", "OTHER_LOG_LEVEL=x", "GATEHOSE_LOG_LEVEL=x")
	same(t, "warnings", c.Warnings(), []string{
		`environment variable GATEHOUSE_SERVER_LISTN: means nothing (did you mean "GATEHOUSE_SERVER_LISTEN"?)`,
		`environment variable GATEHOSE_LOG_LEVEL: means nothing (did you mean "GATEHOUSE_LOG_LEVEL"?)`,
	})
}
