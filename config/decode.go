package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds how many values are looked at, each alias anew, so that a small
// file of nested aliases cannot keep us busy (C10 of the threat list). Without
// aliases, 1 MiB of real config has half as many at most.
const maxNodes = 200_000

// later are keys that the format reserves and this version does not have. They
// may be written where they are switched off.
var later = map[string]bool{"token_service": true, "issuers.jwks_url": true, "issuers.discovery": true}

// decoder fills structs from YAML nodes and notes everything that is wrong on
// the way.
type decoder struct {
	*source
	expander
	overrides environment
	problems  Problems
	nodes     int
	structs   map[reflect.Type]structure
}

// structure is what is known of a struct type before any node is seen.
type structure struct {
	fields   []field
	defaults reflect.Value
}

func newDecoder(s *source, environ map[string]string, overrides environment) *decoder {
	d := &decoder{source: s, overrides: overrides, structs: map[reflect.Type]structure{}}
	d.environ = environ
	return d
}

// maxProblems bounds what is told of a file that is nothing like a config, or
// whose aliases repeat one mistake without end.
const maxProblems = 500

func (d *decoder) fault(path, format string, args ...any) {
	d.add(d.Problem(path, format, args...))
}

func (d *decoder) add(p Problem) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, p)
	}
}

// decode reads a node into v, which has its default already. The field is the
// one that v belongs to, be it as an item of its list.
func (d *decoder) decode(path string, n *yaml.Node, v reflect.Value, f field) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.fault(path, "with its aliases unfolded, the file has more than %d values", maxNodes)
		}
		return
	}
	t := v.Type()
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		d.fault(path, "has a YAML tag: remove it")
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		d.fault(path, "has no value: write one, or remove the key")
	case isScalar(t):
		d.decodeScalar(path, n, v, f)
	case t == reflect.TypeFor[Upstreams]() && n.Kind == yaml.ScalarNode:
		d.decodeUpstream(path, n, v)
	case t.Kind() == reflect.Slice:
		d.decodeList(path, n, v, f)
	case t.Kind() == reflect.Pointer:
		target := reflect.New(t.Elem())
		target.Elem().Set(d.structure(t.Elem()).defaults)
		v.Set(target)
		d.decodeStruct(path, n, target.Elem())
	default:
		d.decodeStruct(path, n, v)
	}
}

func (d *decoder) decodeUpstream(path string, n *yaml.Node, v reflect.Value) {
	d.decodeScalar(path, n, d.onlyUpstream(v), field{})
}

// onlyUpstream makes v a list of one upstream and returns its URL.
func (d *decoder) onlyUpstream(v reflect.Value) reflect.Value {
	one := Upstreams{d.structure(reflect.TypeFor[Upstream]()).defaults.Interface().(Upstream)}
	v.Set(reflect.ValueOf(one))
	return v.Index(0).FieldByName("URL")
}

func (d *decoder) decodeList(path string, n *yaml.Node, v reflect.Value, f field) {
	if n.Kind != yaml.SequenceNode {
		d.fault(path, "must be a list")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	f.typ = v.Type().Elem()
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.positions[at] = position{line: item.Line, column: item.Column}
		if f.typ.Kind() == reflect.Struct && !isScalar(f.typ) {
			list.Index(i).Set(d.structure(f.typ).defaults)
		}
		d.decode(at, item, list.Index(i), f)
	}
	v.Set(list)
}

// decodeStruct reads a mapping into v. n is nil when the key is absent: then
// variables may still set what is in it.
func (d *decoder) decodeStruct(path string, n *yaml.Node, v reflect.Value) {
	fields := d.structure(v.Type()).fields
	values := map[string]*yaml.Node{}
	if n != nil {
		if n.Kind != yaml.MappingNode {
			d.fault(path, "must be a mapping of keys to values")
			return
		}
		values = d.keys(path, n, fields)
	}
	for _, f := range fields {
		at, value, field := join(path, f.name), values[f.name], v.FieldByIndex(f.index)
		if text, variable := d.overrides.lookup(at); variable != "" {
			d.positions[at] = position{variable: variable}
			d.set(at, text, field, f)
			continue
		}
		switch {
		case value != nil:
			d.decode(at, value, field, f)
		case f.missing != "":
			d.fault(at, "%s", f.missing)
		case f.typ.Kind() == reflect.Struct && !isScalar(f.typ):
			d.decodeStruct(at, nil, field)
		}
	}
}

// keys returns the values of a mapping by key, and notes where they stand.
func (d *decoder) keys(path string, n *yaml.Node, fields []field) map[string]*yaml.Node {
	values := make(map[string]*yaml.Node, len(fields))
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at, here := join(path, printable(key.Value)), position{line: key.Line, column: key.Column}
		problem := func(format string, args ...any) {
			p := d.Problem("", format, args...)
			p.Path, p.Line, p.Column = at, here.line, here.column
			d.add(p)
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			at = path
			problem("has a key that is not a name")
		case key.ShortTag() == "!!merge":
			at = join(path, key.Value)
			problem("merge keys are not supported: write the keys out, or use defaults")
		case values[key.Value] != nil:
			problem("duplicate key; it is first on line %d", d.positions[at].line)
		case later[unindexed(at)] && off(value):
		case later[unindexed(at)]:
			problem("is not available in this version")
		case !slices.Contains(names, key.Value):
			problem("unknown key%s", suggest(key.Value, names))
		default:
			values[key.Value] = value
			if value.Kind == yaml.ScalarNode {
				here = position{line: value.Line, column: value.Column}
			}
			d.positions[at] = here
		}
	}
	return values
}

// off reports whether a value switches a key off: "", false or {}.
func off(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.Value == "" && n.ShortTag() == "!!str" || n.Value == "false") ||
		n.Kind == yaml.MappingNode && len(n.Content) == 0
}

// printable returns a key fit to stand in a path.
func printable(key string) string {
	if isVariable(strings.ReplaceAll(key, "-", "_")) && len(key) <= nameBytes {
		return key
	}
	return strconv.Quote(key[:min(len(key), nameBytes)])
}

// structure returns what is known of a struct type, made once.
func (d *decoder) structure(t reflect.Type) structure {
	if s, ok := d.structs[t]; ok {
		return s
	}
	s := structure{fields: fieldsOf(t), defaults: reflect.New(t).Elem()}
	d.structs[t] = s
	for _, f := range s.fields {
		v := s.defaults.FieldByIndex(f.index)
		switch {
		case f.typ.Kind() == reflect.Struct && !isScalar(f.typ):
			v.Set(d.structure(f.typ).defaults)
		case f.def != "":
			setDefault(v, f)
		}
	}
	return s
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// unindexed returns the path without list positions: issuers.name for
// issuers[2].name.
func unindexed(path string) string {
	for {
		before, rest, ok := strings.Cut(path, "[")
		if !ok {
			return path
		}
		_, after, _ := strings.Cut(rest, "]")
		path = before + after
	}
}
