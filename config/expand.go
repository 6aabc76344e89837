package config

import "strings"

// expander replaces references in the text of scalars:
//
//	${NAME}           an environment variable, which must be set
//	${NAME:-default}  the default where it is not set, or empty
//	${file:path}      a file's text less one trailing line end
//	$${               a literal ${
//
// What comes out is not looked at again, so that a variable's content can say
// nothing but itself (C08 of the threat list).
type expander struct {
	environ map[string]string
	read    func(path string) (string, error)
	literal bool // replaces nothing
}

// expand returns the text with its references replaced, and whether there were
// any. wrong says what is wrong; it never contains the text.
func (e *expander) expand(text string) (out string, replaced bool, wrong string) {
	if e.literal {
		return text, false, ""
	}
	var b strings.Builder
	for {
		start := strings.Index(text, "${")
		if start < 0 {
			b.WriteString(text)
			return b.String(), replaced, ""
		}
		if start > 0 && text[start-1] == '$' {
			b.WriteString(text[:start-1] + "${")
			text = text[start+len("${"):]
			continue
		}
		b.WriteString(text[:start])
		reference, rest, closed := strings.Cut(text[start+len("${"):], "}")
		if !closed {
			return "", false, "has a ${ without its }; a literal ${ is written $${"
		}
		value, wrong := e.value(reference)
		if wrong != "" {
			return "", false, wrong
		}
		b.WriteString(value)
		text, replaced = rest, true
	}
}

func (e *expander) value(reference string) (value, wrong string) {
	if path, ok := strings.CutPrefix(reference, "file:"); ok {
		text, err := e.read(path)
		if err != nil {
			return "", "${file:…}: " + fault(err)
		}
		return text, ""
	}
	name, def, hasDefault := strings.Cut(reference, ":-")
	if !isVariable(name) {
		return "", "has a reference that is none of ${NAME}, ${NAME:-default} and ${file:path}; a literal ${ is written $${"
	}
	value, set := e.environ[name]
	switch {
	case hasDefault && value == "":
		return def, ""
	case !set:
		return "", "the environment variable " + name + " is not set: set it, or write ${" + name + ":-default}"
	}
	return value, ""
}

func isVariable(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
