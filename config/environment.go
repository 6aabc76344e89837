package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

const variablePrefix = "GATEHOUSE_"

// environment is what GATEHOUSE_… variables say about the config. Its zero value
// says nothing.
//
// viper holds the values by path, set one by one from the variables of known
// paths, and does nothing else here. It reads no file, since it lower-cases keys,
// merges duplicates and ignores unknown ones. Its AutomaticEnv would not see a key
// that is absent from the file, take an empty variable for an unset one and split
// lists at commas (C04 of the threat list). BindEnv would ask the process for
// variables, where we were given them.
type environment struct {
	values    *viper.Viper
	variables map[string]string // by path
}

// newEnvironment reads the variables of environ, whose form is that of
// os.Environ. A variable that is nothing of ours is no error, be it by our prefix:
// Kubernetes makes GATEHOUSE_PORT and more for a Service called gatehouse. One
// that nearly is gives a warning, one that means a list a problem.
func newEnvironment(environ []string) (e environment, problems Problems, warnings []string) {
	e = environment{values: viper.New(), variables: map[string]string{}}
	paths, lists := map[string]string{}, map[string]string{}
	eachFixed(reflect.TypeFor[Config](), "", func(path string, f field) {
		if f.typ.Kind() == reflect.Slice && f.typ != reflect.TypeFor[Upstreams]() {
			lists[variable(path)] = path
		} else {
			paths[variable(path)] = path
		}
	})
	known := make([]string, 0, len(paths))
	for name := range paths {
		known = append(known, name)
	}
	slices.Sort(known)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if path, ok := paths[name]; ok {
			e.values.Set(path, value)
			e.variables[path] = name
		} else if path, ok := lists[name]; ok {
			problems = append(problems, Problem{File: "environment variable " + name, Path: path, Message: "a list cannot be set by a variable: write it in the file, with ${NAME} for its items"})
		} else if near := suggest(name, known); near != "" {
			warnings = append(warnings, "environment variable "+name+": means nothing"+near)
		}
	}
	return e, problems, warnings
}

// lookup returns what the environment says about the path, and the variable that
// says it; variable is "" where none does. The empty string is a value.
func (e environment) lookup(path string) (value, variable string) {
	variable = e.variables[path]
	if variable == "" {
		return "", ""
	}
	return e.values.GetString(path), variable
}

// within reports whether the environment says something about a value in the one
// at path.
func (e environment) within(path string) bool {
	for at := range e.variables {
		if within(at, path) {
			return true
		}
	}
	return false
}

// variable returns the name of the variable that sets the value at path.
func variable(path string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// eachFixed calls visit for every key under t that is no mapping, up to and with
// lists: what is inside a list has no fixed path.
func eachFixed(t reflect.Type, path string, visit func(path string, f field)) {
	for _, f := range fieldsOf(t) {
		switch inner := f.typ; {
		case inner.Kind() == reflect.Pointer:
			eachFixed(inner.Elem(), join(path, f.name), visit)
		case inner.Kind() == reflect.Struct && !isScalar(inner):
			eachFixed(inner, join(path, f.name), visit)
		default:
			visit(join(path, f.name), f)
		}
	}
}
