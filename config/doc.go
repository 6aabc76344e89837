// Package config reads gateway.yaml: strictly, with the position of every
// mistake, into plain structs that say what is meant and build nothing.
//
// The structs are the one description of the format. Their tags carry key,
// default, bounds and meaning; decoding, environment overrides, `config print`,
// the JSON Schema, the reference and the file that `init` writes are walks over
// them. The tags:
//
//	yaml      the key
//	default   the value when the key is absent, in YAML; without it the type's zero
//	inherit   the path whose value is the default
//	required  the key must be written, if only with an empty value; the tag is
//	          what is said when it is not
//	example   a value for documents, where there is no default
//	oneof     the values that a string, or each string of a list, may have
//	min, max  bounds, both included, in the field's own notation
//	size      the largest that the file may be, where 1 MiB does not do
//	private   the file holds a secret: others should not be able to read it
//	doc       the meaning; one sentence or two
//
// The package imports nothing of ours, starts no goroutine, and is the only one
// that knows viper.
package config
