package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Fresh is what was made for a new config, as `gatehouse init` does. Its zero
// value stands for nothing: then the template has no issuer and no key, and its
// one route asks for an API key, which lets nobody in until one is made.
type Fresh struct {
	APIKey         Hash   // of the API key of the client "web-app"
	JWTSecretFile  string // secret of the issuer "main", for HS256
	AdminTokenFile string
}

const templateIntro = `# The configuration of gatehouse.
#
# Every key of the format stands here. A key behind a # without a space is switched off and shows its
# default or an example: take the # away, from those above it too, to switch it on.
#
# gatehouse check          what is wrong with this file, and where
# gatehouse config print   what takes effect
# gatehouse config schema  the JSON Schema, for editors
`

// Template returns a gateway.yaml that is valid, complete and commented.
func Template(fresh Fresh) []byte {
	w := templateWriter{set: map[string]string{}, documented: map[string]bool{}}
	w.b.WriteString(templateIntro)
	eachFixed(reflect.TypeFor[Config](), "", func(path string, f field) {
		if f.def != "" && !within(path, "defaults") && !within(path, "token_service") {
			w.set[path] = f.def
		}
	})
	for path, value := range map[string]string{
		"routes[0].name":     "default",
		"routes[0].match":    "/",
		"routes[0].upstream": "http://127.0.0.1:9000",
	} {
		w.set[path] = value
	}
	if fresh == (Fresh{}) {
		w.set["routes[0].auth"] = "api_key"
	} else {
		w.addFresh(fresh)
	}
	w.mapping(reflect.TypeFor[Config](), "", 0, "")
	return []byte(w.b.String())
}

func (w *templateWriter) addFresh(fresh Fresh) {
	for path, value := range map[string]string{
		"admin.token_file":               strconv.Quote(fresh.AdminTokenFile),
		"api_keys.keys[0].id":            "web-app",
		"api_keys.keys[0].sha256":        strconv.Quote(fresh.APIKey.String()),
		"issuers[0].name":                "main",
		"issuers[0].issuer":              "https://auth.example.com",
		"issuers[0].audiences":           "[api]",
		"issuers[0].keys[0].kid":         "k1",
		"issuers[0].keys[0].algorithm":   "HS256",
		"issuers[0].keys[0].secret_file": strconv.Quote(fresh.JWTSecretFile),
		"issuers[0].renew.after":         "0.5",
		"issuers[0].renew.max_session":   "12h",
		"routes[0].auth":                 "both",
		"routes[0].renew":                "true",
	} {
		w.set[path] = value
	}
}

// templateWriter writes the keys of the structs as commented YAML.
type templateWriter struct {
	b          strings.Builder
	set        map[string]string // values, in YAML, of the keys that are switched on
	documented map[string]bool   // fields whose meaning was written already
}

// on reports whether the key at path, or one in it, is switched on.
func (w *templateWriter) on(path string) bool {
	for p := range w.set {
		if within(p, path) {
			return true
		}
	}
	return false
}

// mapping writes the keys of a struct, the first one behind dash where the struct
// is an item of a list.
func (w *templateWriter) mapping(t reflect.Type, path string, indent int, dash string) {
	for _, f := range fieldsOf(t) {
		at := join(path, f.name)
		w.document(t, f, at, indent)
		switch inner := f.typ; {
		case inner.Kind() == reflect.Pointer:
			w.line(at, indent, dash+f.name+":")
			w.mapping(inner.Elem(), at, indent+len(dash)+2, "")
		case inner.Kind() == reflect.Struct && !isScalar(inner):
			w.line(at, indent, dash+f.name+":")
			w.mapping(inner, at, indent+len(dash)+2, "")
		case inner.Kind() == reflect.Slice && !isScalar(inner.Elem()) && f.def == "" && f.example == "":
			w.line(at, indent, dash+f.name+":")
			w.mapping(inner.Elem(), at+"[0]", indent+len(dash)+2, "- ")
		default:
			w.line(at, indent, dash+f.name+": "+w.value(at, f))
		}
		indent, dash = indent+len(dash), "" // the other keys of an item stand behind its dash
	}
}

func (w *templateWriter) value(path string, f field) string {
	switch value, on := w.set[path]; {
	case on:
		return value
	case f.def != "":
		return f.def
	case f.example != "":
		return f.example
	case f.typ.Kind() == reflect.Slice:
		return "[]"
	default:
		return `""`
	}
}

func (w *templateWriter) line(path string, indent int, text string) {
	off := ""
	if !w.on(path) {
		off = "#"
	}
	fmt.Fprintf(&w.b, "%s%s%s\n", strings.Repeat(" ", indent), off, text)
}

// document writes a field's meaning, once for each field: what `defaults` shares
// with routes is told there.
func (w *templateWriter) document(t reflect.Type, f field, path string, indent int) {
	if indent == 0 {
		w.b.WriteString("\n")
	}
	id := t.String() + "." + f.name
	if within(path, "defaults") && path != "defaults" || w.documented[id] {
		return
	}
	w.documented[id] = true
	margin := strings.Repeat(" ", indent) + "# "
	for _, line := range wrap(f.meaning(), 104-len(margin)) {
		w.b.WriteString(margin + line + "\n")
	}
}

// wrap breaks text into lines of at most width bytes, or one word.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
