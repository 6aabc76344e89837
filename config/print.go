package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// YAML returns the config as it takes effect: expanded, overridden, with its
// defaults, and `defaults` spread over the routes. Secrets are redacted, paths
// absolute. What is empty and has no default is left out.
func (c *Config) YAML() ([]byte, error) {
	effective := *c
	effective.Defaults = RouteDefaults{}
	root := encodeStruct(reflect.ValueOf(effective))
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, err
	}
	return b.Bytes(), encoder.Close()
}

func encodeStruct(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fieldsOf(v.Type()) {
		inner := v.FieldByIndex(f.index)
		optional := f.def == "" && f.inherit == "" && f.missing == ""
		if inner.IsZero() && optional || inner.Kind() == reflect.Slice && inner.Len() == 0 && f.def == "" {
			continue
		}
		if child := encode(inner); child.Kind != yaml.MappingNode || len(child.Content) > 0 {
			n.Content = append(n.Content, word(f.name), child)
		}
	}
	return n
}

func encode(v reflect.Value) *yaml.Node {
	switch t := v.Type(); {
	case isScalar(t):
		return encodeScalar(v)
	case t.Kind() == reflect.Pointer:
		return encodeStruct(v.Elem())
	case t.Kind() == reflect.Struct:
		return encodeStruct(v)
	}
	if list, ok := v.Interface().(Upstreams); ok && len(list) == 1 && list[0].Weight == 1 {
		return word(list[0].URL)
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	if v.Len() == 0 || isScalar(v.Type().Elem()) {
		n.Style = yaml.FlowStyle
	}
	for i := range v.Len() {
		n.Content = append(n.Content, encode(v.Index(i)))
	}
	return n
}

func encodeScalar(v reflect.Value) *yaml.Node {
	switch x := v.Interface().(type) {
	case bool, int, float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(x)}
	case Duration, Size:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(x)}
	case time.Time:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: x.Format(time.RFC3339Nano)}
	default: // strings, and what prints itself, secrets as "[redacted]"
		return word(fmt.Sprint(x))
	}
}

// word returns a node that reads as that very string.
func word(s string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(strings.ReplaceAll(s, "${", "$${"))
	return n
}
