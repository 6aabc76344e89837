package config

import (
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// field is one key of one of the config's structs, as its tags describe it.
type field struct {
	name               string
	index              []int // for reflect.Value.FieldByIndex
	typ                reflect.Type
	def                string // YAML; "" is the type's zero
	inherit            string
	missing            string // what to say when the key is absent; "" when it may be
	oneof              []string
	min, max           string
	private            bool
	size               int64 // largest that a File's content may be
	example, reference string
}

// fieldsOf returns the keys of a struct in their order. Those of an embedded
// struct count as its own.
func fieldsOf(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Anonymous && f.IsExported():
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				all = append(all, inner)
			}
		case f.IsExported():
			all = append(all, newField(f))
		}
	}
	return all
}

func newField(f reflect.StructField) field {
	tag := f.Tag.Get
	one := field{
		name: tag("yaml"), index: f.Index, typ: f.Type,
		def: tag("default"), inherit: tag("inherit"), missing: tag("required"),
		min: tag("min"), max: tag("max"), private: tag("private") != "",
		example: tag("example"), reference: tag("doc"), size: maxFileBytes,
	}
	if text := tag("size"); text != "" {
		var size Size
		if err := size.UnmarshalText([]byte(text)); err != nil {
			panic("config: size of " + one.name + ": " + err.Error())
		}
		one.size = int64(size)
	}
	if values := tag("oneof"); values != "" {
		one.oneof = strings.Split(values, ",")
	}
	return one
}

// notation is how values of a scalar type look.
type notation struct {
	noun    string // "a duration"
	wrong   string // what is said of a value that is none
	pattern string // for the schema; "" where any string is one
}

// notations has every scalar type of the structs.
var notations = map[reflect.Type]notation{
	reflect.TypeFor[string]():       {"string", "", ""},
	reflect.TypeFor[Secret]():       {"secret", "", ""},
	reflect.TypeFor[StoreURL]():     {"store URL", "", ""},
	reflect.TypeFor[File]():         {"file", "", ""},
	reflect.TypeFor[bool]():         {"true or false", "must be true or false, without quotes", ""},
	reflect.TypeFor[int]():          {"number", "must be a whole number in decimal digits, without quotes", ""},
	reflect.TypeFor[float64]():      {"number", "must be a number such as 0.5, without quotes", ""},
	reflect.TypeFor[Duration]():     {"duration", "is not a duration such as 30s, 200ms or 1h30m", `^(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$`},
	reflect.TypeFor[Rate]():         {"rate", "is not a rate such as 10/5m or off", `^(0|off|[1-9][0-9]*/([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+)$`},
	reflect.TypeFor[Size]():         {"size", "is not a size such as 0, 512B, 32KiB or 10MiB", `^[0-9]+(B|KiB|MiB|GiB)?$`},
	reflect.TypeFor[Hash]():         {"SHA-256", "is not 64 hex digits; gatehouse key hash prints them", `^[0-9A-Fa-f]{64}$`},
	reflect.TypeFor[netip.Prefix](): {"network", "is not a network such as 10.0.0.0/8 or 2001:db8::/32", `/[0-9]+$`},
	reflect.TypeFor[time.Time]():    {"time", "is not a time such as 2027-01-01T00:00:00Z", `^[0-9]{4}-[0-9]{2}-[0-9]{2}T`},
}

// isScalar reports whether values of the type are written as one word. Upstreams
// may be, and are a list all the same.
func isScalar(t reflect.Type) bool {
	_, ok := notations[t]
	return ok
}
