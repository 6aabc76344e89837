package config

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// LoadConfig says what to load.
type LoadConfig struct {
	File    string   // path of the gateway.yaml
	Environ []string // as os.Environ returns it; nil: no variable is set
}

// Load reads the file, expands and overrides it from the environment, fills in
// defaults and validates. What is wrong with the content comes back all at once,
// as Problems, and with it the config as far as it could be read: to look for
// more that is wrong, not to run.
func Load(cfg LoadConfig) (*Config, error) {
	data, err := File(cfg.File).Read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Problems{{File: cfg.File, Message: "no such file: name another with --config, or write one with gatehouse init"}}
	}
	if err != nil {
		return nil, Problems{{File: cfg.File, Message: fault(err)}}
	}
	return Parse(cfg.File, data, cfg.Environ)
}

// Parse is Load for content that has been read already. name stands for it in
// errors, and its folder is where relative paths begin.
func Parse(name string, data []byte, environ []string) (*Config, error) {
	src, err := newSource(name)
	if err != nil {
		return nil, err
	}
	root, problem := document(data, maxFileBytes)
	switch {
	case problem != nil && strings.HasPrefix(problem.Message, notYAML) && bytes.Contains(data, []byte("${")):
		problem.Message += ` (between { and }, a value with ${…} must be quoted: "${NAME}")`
	case problem == nil && root.Kind != yaml.MappingNode:
		problem = &Problem{Line: root.Line, Column: root.Column, Message: "the file must be a mapping of keys to values"}
	}
	if problem != nil {
		problem.File = name
		return nil, Problems{*problem}
	}
	overrides, problems, warnings := newEnvironment(environ)
	src.warnings = warnings
	variables := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		variables[name] = value
	}

	c := new(Config)
	d := newDecoder(&c.source, variables, overrides)
	*c = d.structure(reflect.TypeFor[Config]()).defaults.Interface().(Config)
	c.source = src
	d.decodeStruct("", root, reflect.ValueOf(c).Elem())
	d.inherit(c)
	if c.TokenService != nil {
		d.complete(c.TokenService)
	}
	problems = slices.Concat(problems, d.problems, c.validate(d.problems))
	if len(problems) > 0 {
		problems.Sort()
		return c, problems
	}
	return c, nil
}

// document returns the root of the one YAML document in data, which may have so
// many bytes.
func document(data []byte, limit int64) (*yaml.Node, *Problem) {
	if int64(len(data)) > limit {
		return nil, &Problem{Message: "the file " + tooLarge(limit).Error()}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, &Problem{Line: 1, Column: 1, Message: "the file is empty"}
	case err != nil:
		return nil, syntaxProblem(err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, &Problem{Line: second.Line, Column: second.Column, Message: "a second YAML document begins: one file holds one config"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxProblem(err)
	}
	return doc.Content[0], nil
}

const notYAML = "is not YAML"

var (
	syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)
	// parserError is what the parser says on lines that it counts from zero; its
	// scanner counts from one.
	parserError = regexp.MustCompile(`^did not find expected (key|node content|<|'-'|',')`)
	indicator   = regexp.MustCompile(`'[^\w']'`)
)

// syntaxProblem turns an error of the YAML parser into a problem. The parser
// tells the line alone, often that where the broken list or mapping begins. Where
// it quotes the file, as in an unknown anchor that may be a password beginning
// with *, its words are replaced.
func syntaxProblem(err error) *Problem {
	p := Problem{Line: 1, Column: 1, Message: notYAML}
	m := syntaxError.FindStringSubmatch(err.Error())
	if m == nil {
		return &p
	}
	if line, err := strconv.Atoi(m[1]); err == nil {
		p.Line = line
		if parserError.MatchString(m[2]) {
			p.Line++
		}
	}
	switch {
	case strings.HasPrefix(m[2], "unknown anchor"):
		p.Message = notYAML + ": an unquoted * begins an alias, and there is no such anchor"
	case !strings.ContainsAny(indicator.ReplaceAllString(m[2], ""), "'\"`"):
		p.Message = notYAML + ", here or in what begins here: " + m[2]
	}
	return &p
}
