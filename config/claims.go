package config

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Claims are the members of a JSON object by their names. YAML's values become
// JSON's as they are written: a number keeps its digits.
type Claims map[string]json.RawMessage

// maxClaimDepth bounds how deep claims are nested, also by an alias of what it
// stands in.
const maxClaimDepth = 16

func (d *decoder) decodeClaims(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.fault(path, "must be a mapping of claims to values")
		return
	}
	claims := Claims{}
	d.members(path, n, func(name, at string, value *yaml.Node) {
		d.positions[at] = position{line: value.Line, column: value.Column}
		claims[name] = d.appendJSON(nil, at, value, 1)
	})
	v.Set(reflect.ValueOf(claims))
}

// members visits the members of a mapping that can be those of a JSON object.
func (d *decoder) members(path string, n *yaml.Node, visit func(name, at string, value *yaml.Node)) {
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch first := lines[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0:
			d.faultAt(key, path, "has a key that is not a name")
		case key.ShortTag() != "!!str":
			d.faultAt(key, path, "has a key that is %s to YAML: put it in quotes", nouns[key.ShortTag()])
		case first != 0:
			d.faultAt(key, join(path, printable(key.Value)), "duplicate key; it is first on line %d", first)
		default:
			lines[key.Value] = key.Line
			visit(key.Value, join(path, printable(key.Value)), value)
		}
	}
}

// appendJSON appends the value as JSON. What it appends where there is a problem
// means nothing.
func (d *decoder) appendJSON(b []byte, path string, n *yaml.Node, depth int) []byte {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case !d.count(path):
	case depth > maxClaimDepth:
		d.faultAt(n, path, "is nested more than %d deep", maxClaimDepth)
	case n.Style&yaml.TaggedStyle != 0:
		d.faultAt(n, path, "has a YAML tag: remove it")
	case n.Kind == yaml.ScalarNode:
		return d.appendScalar(b, path, n)
	case n.Kind == yaml.SequenceNode:
		b = append(b, '[')
		for i, item := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			b = d.appendJSON(b, path+"["+strconv.Itoa(i)+"]", item, depth+1)
		}
		return append(b, ']')
	default:
		b = append(b, '{')
		first := len(b)
		d.members(path, n, func(name, at string, value *yaml.Node) {
			if len(b) > first {
				b = append(b, ',')
			}
			b = append(quote(b, name), ':')
			b = d.appendJSON(b, at, value, depth+1)
		})
		return append(b, '}')
	}
	return b
}

// appendScalar appends a string, or what YAML and JSON read alike.
func (d *decoder) appendScalar(b []byte, path string, n *yaml.Node) []byte {
	tag, plain := n.ShortTag(), n.Style == 0
	switch {
	case plain && json.Valid([]byte(n.Value)):
		return append(b, n.Value...)
	case tag == "!!str":
		return quote(b, n.Value)
	case tag == "!!null":
		d.faultAt(n, path, "has no value: write one, or null, or remove the key")
	case slices.Contains([]string{"!!int", "!!float"}, tag):
		d.faultAt(n, path, "must be a number as JSON has it, as in 12, -0.5 or 1e6; or put it in quotes")
	case tag == "!!bool":
		d.faultAt(n, path, "must be true or false, or stand in quotes")
	default:
		d.faultAt(n, path, "is %s to YAML, and a string is wanted: put it in quotes", nouns[tag])
	}
	return b
}

// quote appends a JSON string.
func quote(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // no string has one
	}
	return append(b, text...)
}
