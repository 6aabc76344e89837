package config

import (
	"encoding/json"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// schema is a JSON Schema, or a part of one. Maps are encoded in the order of
// their keys, so that the same structs give the same bytes.
type schema map[string]any

// Schema returns the JSON Schema (2020-12) of gateway.yaml, for editors. What it
// refuses, Load refuses; Load knows more, as what names refer to.
func Schema() ([]byte, error) {
	root := structSchema(reflect.TypeFor[Config]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "gatehouse: gateway.yaml"
	root["$defs"] = schema{"reference": schema{
		"type": "string", "pattern": `\$\{`,
		"description": "${NAME}, ${NAME:-default} or ${file:path}",
	}}
	return json.MarshalIndent(root, "", "  ")
}

func structSchema(t reflect.Type) schema {
	properties := schema{}
	required := []string{}
	for _, f := range fieldsOf(t) {
		s := typeSchema(f.typ, f)
		s["description"] = f.meaning()
		if f.def != "" {
			var value any
			if err := yaml.Unmarshal([]byte(f.def), &value); err != nil {
				panic("config: default of " + f.name + ": " + err.Error())
			}
			s["default"] = value
		}
		if f.missing != "" {
			required = append(required, f.name)
		}
		properties[f.name] = s
	}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func typeSchema(t reflect.Type, f field) schema {
	switch {
	case isScalar(t):
		return scalarSchema(t, f)
	case t == reflect.TypeFor[Upstreams]():
		return schema{"anyOf": []any{schema{"type": "string"}, listSchema(t, f)}}
	case t.Kind() == reflect.Slice:
		return listSchema(t, f)
	case t.Kind() == reflect.Pointer:
		return structSchema(t.Elem())
	default:
		return structSchema(t)
	}
}

func listSchema(t reflect.Type, f field) schema {
	return schema{"type": "array", "items": typeSchema(t.Elem(), f)}
}

func scalarSchema(t reflect.Type, f field) schema {
	s := schema{"type": "string"}
	switch {
	case t.Kind() == reflect.Bool:
		s = schema{"type": "boolean"}
	case t == reflect.TypeFor[int]():
		s = schema{"type": "integer"}
	case t == reflect.TypeFor[float64]():
		s = schema{"type": "number"}
	case t == reflect.TypeFor[Duration](), t == reflect.TypeFor[Size]():
		s = schema{"type": []string{"string", "integer"}, "minimum": 0, "pattern": notations[t].pattern}
	case t == reflect.TypeFor[Rate]():
		s = schema{"type": []string{"string", "integer"}, "minimum": 0, "maximum": 0, "pattern": notations[t].pattern}
	case notations[t].pattern != "":
		s["pattern"] = notations[t].pattern
	}
	if s["type"] == "integer" || s["type"] == "number" {
		s["minimum"], s["maximum"] = json.Number(f.min), json.Number(f.max)
	}
	if f.oneof != nil {
		s["enum"] = f.oneof
	}
	if len(s) == 1 && s["type"] == "string" {
		return s // takes a reference as it is
	}
	return schema{"anyOf": []any{s, schema{"$ref": "#/$defs/reference"}}}
}

// meaning returns what the key is for, with the values that it takes.
func (f field) meaning() string {
	text := f.reference
	switch {
	case f.oneof != nil:
		text += " One of " + strings.Join(f.oneof, ", ") + "."
	case f.min != "" && f.max != "":
		text += " From " + f.min + " to " + f.max + "."
	case f.max != "":
		text += " At most " + f.max + "."
	}
	return text
}
