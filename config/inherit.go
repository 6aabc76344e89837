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
			defaults.Issuers, defaults.Require, defaults.Renew = nil, Require{}, false
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
