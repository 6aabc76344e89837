package config

import (
	"encoding"
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// nouns are what YAML takes unquoted words for.
var nouns = map[string]string{
	"!!int": "a number", "!!float": "a number", "!!bool": "true or false", "!!timestamp": "a date", "!!merge": "a merge key", "!!null": "null",
}

func (d *decoder) decodeScalar(path string, n *yaml.Node, v reflect.Value, f field) {
	if n.Kind != yaml.ScalarNode {
		d.fault(path, "must be a single value, not a list or a mapping")
		return
	}
	d.read = func(name string) (string, error) {
		file := File(d.resolve(name))
		text, err := file.ReadSecret()
		secret := v.Type() == reflect.TypeFor[Secret]() || v.Type() == reflect.TypeFor[StoreURL]()
		d.use(path, file, secret && err == nil)
		return text.Reveal(), err
	}
	text, replaced, wrong := d.expand(n.Value)
	if wrong != "" {
		d.fault(path, "%s", wrong)
		return
	}
	if !replaced { // what a reference brought in has no type of its own
		if err := checkTag(n, v.Type()); err != nil {
			d.fault(path, "%v", err)
			return
		}
	}
	d.set(path, text, v, f)
}

// set reads the text of a scalar, whether from the file or from a variable.
func (d *decoder) set(path, text string, v reflect.Value, f field) {
	if v.Type() == reflect.TypeFor[Upstreams]() {
		d.set(path, text, d.onlyUpstream(v), field{})
		return
	}
	if err := setScalar(v, text); err != nil {
		d.fault(path, "%v", err)
		return
	}
	if err := checkBounds(v, f); err != nil {
		d.fault(path, "%v", err)
	}
	if f.oneof != nil && !slices.Contains(f.oneof, text) {
		d.fault(path, "must be one of %s", strings.Join(f.oneof, ", "))
	}
	if v.Type() == reflect.TypeFor[File]() && text != "" {
		d.setFile(path, text, v, f)
	}
}

// setFile makes the path absolute and sees that the file is there. A missing
// file is an error and never the same as none (C02 of the threat list).
func (d *decoder) setFile(path, text string, v reflect.Value, f field) {
	file := File(d.resolve(text))
	v.SetString(string(file))
	_, err := file.read(f.size)
	d.use(path, file, f.private && err == nil)
	if err != nil {
		d.fault(path, "%s", fault(err))
	}
}

// setDefault reads a default tag by the same rules as the file.
func setDefault(v reflect.Value, f field) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(f.def), &document); err != nil {
		panic("config: default of " + f.name + ": " + err.Error())
	}
	quiet := newDecoder(&source{positions: map[string]position{}}, nil, environment{})
	quiet.decode(f.name, document.Content[0], v, f)
	if len(quiet.problems) > 0 {
		panic("config: default of " + quiet.problems.Error())
	}
}

// checkTag refuses what YAML has read as another type than the one wanted.
// Strings stay strings: an unquoted 0123456789 could otherwise lose its zero on
// the way (K05 of the threat list), and `no` become false (C05).
func checkTag(n *yaml.Node, t reflect.Type) error {
	tag := n.ShortTag()
	switch {
	case t.Kind() == reflect.String || t == reflect.TypeFor[Hash]():
		if tag != "!!str" {
			return errors.New("is " + nouns[tag] + " to YAML, and a string is wanted: put it in quotes")
		}
	case t.Kind() == reflect.Bool && tag != "!!bool",
		t.Kind() == reflect.Int && tag != "!!int",
		t.Kind() == reflect.Float64 && tag != "!!int" && tag != "!!float":
		return errors.New(notations[t].wrong)
	}
	return nil
}

// setScalar reads text into v. Its errors do not contain the text, as those of
// the standard library would.
func setScalar(v reflect.Value, text string) error {
	wrong := errors.New(notations[v.Type()].wrong)
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if u.UnmarshalText([]byte(text)) != nil {
			return wrong
		}
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f }) {
			return errors.New("contains a control character")
		}
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return wrong
		}
		v.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil || strconv.Itoa(n) != text { // 010, +1 and 1_0 have two readings
			return wrong
		}
		v.SetInt(int64(n))
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(x, 0) || strings.Trim(text, "0123456789.-") != "" {
			return wrong
		}
		v.SetFloat(x)
	default:
		panic("config: no notation for " + v.Type().String())
	}
	return nil
}

// checkBounds compares v with the field's min and max.
func checkBounds(v reflect.Value, f field) error {
	bound := func(text string) float64 {
		limit := reflect.New(f.typ).Elem()
		if err := setScalar(limit, text); err != nil {
			panic("config: bad bound of " + f.name)
		}
		return number(limit)
	}
	switch {
	case f.min != "" && number(v) < bound(f.min):
		return errors.New("must be at least " + f.min)
	case f.max != "" && number(v) > bound(f.max):
		return errors.New("must be at most " + f.max)
	}
	return nil
}

func number(v reflect.Value) float64 {
	if v.CanInt() {
		return float64(v.Int())
	}
	return v.Float()
}
