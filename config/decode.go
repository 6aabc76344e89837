package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds how many values are looked at in each MiB that a file may have,
// each alias anew, so that a small file of nested aliases cannot keep us busy (C10
// of the threat list). Without aliases, 1 MiB of real config has half as many at
// most.
const maxNodes = 200_000

// decoder fills structs from YAML nodes and notes everything that is wrong on
// the way.
type decoder struct {
	*source
	expander
	overrides environment
	problems  Problems
	nodes     int // looked at so far
	maxNodes  int
	structs   map[reflect.Type]structure
}

// structure is what is known of a struct type before any node is seen.
type structure struct {
	fields   []field
	defaults reflect.Value
}

func newDecoder(s *source, environ map[string]string, overrides environment) *decoder {
	d := &decoder{source: s, overrides: overrides, maxNodes: maxNodes, structs: map[reflect.Type]structure{}}
	d.environ = environ
	return d
}

// maxProblems bounds what is told of a file that is nothing like a config, or
// whose aliases repeat one mistake without end.
const maxProblems = 500

func (d *decoder) fault(path, format string, args ...any) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, d.Problem(path, format, args...))
	}
}

// faultAt is fault for what stands elsewhere than the value that path is known
// for.
func (d *decoder) faultAt(n *yaml.Node, path, format string, args ...any) {
	if len(d.problems) < maxProblems {
		p := d.Problem("", format, args...)
		p.Path, p.Line, p.Column = path, n.Line, n.Column
		d.problems = append(d.problems, p)
	}
}

// decode reads a node into v, which has its default already. The field is the
// one that v belongs to, be it as an item of its list.
func (d *decoder) decode(path string, n *yaml.Node, v reflect.Value, f field) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if !d.count(path) {
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
	case t == reflect.TypeFor[Claims]():
		d.decodeClaims(path, n, v)
	case t.Kind() == reflect.Slice:
		d.decodeList(path, n, v, f)
	case t.Kind() == reflect.Pointer:
		d.decodePointer(path, n, v)
	default:
		d.decodeStruct(path, n, v)
	}
}

// count counts one value, and reports whether there may be as many.
func (d *decoder) count(path string) bool {
	if d.nodes++; d.nodes == d.maxNodes+1 {
		d.fault(path, "with its aliases unfolded, the file has more than %d values", d.maxNodes)
	}
	return d.nodes <= d.maxNodes
}

func (d *decoder) decodePointer(path string, n *yaml.Node, v reflect.Value) {
	target := reflect.New(v.Type().Elem())
	target.Elem().Set(d.structure(v.Type().Elem()).defaults)
	v.Set(target)
	d.decodeStruct(path, n, target.Elem())
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
		if f.typ == reflect.TypeFor[*TokenService]() && empty(value) {
			value = nil // a service without endpoints is none, and can be written so
		}
		switch {
		case value != nil:
			d.decode(at, value, field, f)
		case f.missing != "":
			d.fault(at, "%s", f.missing)
		case f.typ.Kind() == reflect.Struct && !isScalar(f.typ):
			d.decodeStruct(at, nil, field)
		case f.typ.Kind() == reflect.Pointer && d.overrides.within(at):
			d.decodePointer(at, nil, field)
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
		at := join(path, printable(key.Value))
		switch {
		case key.Kind != yaml.ScalarNode:
			d.faultAt(key, path, "has a key that is not a name")
		case key.ShortTag() == "!!merge":
			d.faultAt(key, join(path, key.Value), "merge keys are not supported: write the keys out, or use defaults")
		case values[key.Value] != nil:
			d.faultAt(key, at, "duplicate key; it is first on line %d", d.positions[at].line)
		case !slices.Contains(names, key.Value):
			d.faultAt(key, at, "unknown key%s", suggest(key.Value, names))
		default:
			values[key.Value] = value
			where := key
			if value.Kind == yaml.ScalarNode {
				where = value
			}
			d.positions[at] = position{line: where.Line, column: where.Column}
		}
	}
	return values
}

// empty reports whether a value is {}.
func empty(n *yaml.Node) bool { return n != nil && n.Kind == yaml.MappingNode && len(n.Content) == 0 }

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
