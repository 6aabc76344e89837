package config

import (
	"fmt"
	"reflect"
)

// inherit gives each route what it does not say itself: the value of `defaults`,
// and where that is silent too, of what the field inherits from. What is said of
// tokens does not reach a route that looks at none, nor renewal one whose issuers
// do not renew.
func (d *decoder) inherit(c *Config) {
	if !d.written("defaults.max_body_bytes") {
		c.Defaults.MaxBodyBytes = c.Server.MaxBodyBytes
	}
	for i := range c.Routes {
		r, path, defaults := &c.Routes[i].RouteDefaults, fmt.Sprintf("routes[%d]", i), c.Defaults
		if !d.written(path + ".auth") {
			r.Auth = defaults.Auth
		}
		if !r.looksAtTokens() {
			defaults.Issuers, defaults.Require.Scopes, defaults.Require.Claims, defaults.Renew = nil, nil, nil, false
		}
		d.inheritFields(path, reflect.ValueOf(r).Elem(), reflect.ValueOf(defaults))
		if r.Renew && !d.written(path+".renew") {
			r.Renew = r.canRenew(c.Issuers)
		}
	}
}

func (d *decoder) inheritFields(path string, route, defaults reflect.Value) {
	for _, f := range d.structure(route.Type()).fields {
		at, own, other := join(path, f.name), route.FieldByIndex(f.index), defaults.FieldByIndex(f.index)
		switch {
		case f.typ.Kind() == reflect.Struct:
			d.inheritFields(at, own, other)
		case !d.written(at):
			own.Set(other)
		}
	}
}

// complete gives a token service what follows from other values.
func (d *decoder) complete(t *TokenService) {
	for i := range t.Users {
		if t.Users[i].Postgres != nil {
			d.postgresURL(fmt.Sprintf("token_service.users[%d].postgres", i), t.Users[i].Postgres)
		}
	}
	for i := range t.Clients {
		if c := &t.Clients[i]; c.AccessTTL == 0 {
			c.AccessTTL = t.AccessTTL
		}
	}
	for i := range t.Users {
		if s := &t.Users[i]; !d.written(fmt.Sprintf("token_service.users[%d].name", i)) {
			s.Name = s.defaultName()
		}
	}
	for i := range t.Endpoints {
		e, path := &t.Endpoints[i], fmt.Sprintf("token_service.endpoints[%d]", i)
		if !d.written(path + ".name") {
			e.Name = e.Dialect
		}
		switch {
		case d.written(path + ".auth"):
		case e.Dialect == "jsonapi":
			e.Auth = "api_key"
		default:
			e.Auth = "none"
		}
		if e.Dialect == "envelope" && !d.written(path+".client_credentials_path") {
			e.ClientCredentialsPath = "/oauth/token"
		}
	}
}

// postgresURL takes a database's URL from the variable that it names. A name that
// can be none is not repeated: it may be the URL itself.
func (d *decoder) postgresURL(path string, p *Postgres) {
	name, at := p.URLEnv, path+".url_env"
	switch {
	case name == "":
	case p.URL != "":
		d.fault(at, "url is set too: keep one of the two")
	case !isVariable(name):
		d.fault(at, "is not the name of an environment variable")
	case d.environ[name] == "":
		d.fault(at, "the environment variable %s is not set, or empty: set it to the database's URL", name)
	default:
		p.URL, p.URLEnv = Secret(d.environ[name]), ""
	}
}
