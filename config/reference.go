package config

import (
	"fmt"
	"reflect"
	"strings"
)

const referenceIntro = `# gateway.yaml

One file, read strictly: an unknown or duplicate key, a wrong type, a missing file or an unsafe value is an error that
names file, line, column and key. ` + "`gatehouse check`" + ` shows all of them at once, ` + "`gatehouse config print`" + ` what takes effect.

- **References.** In any value, ` + "`${NAME}`" + ` is an environment variable, which must be set, ` + "`${NAME:-default}`" + ` has a default
  for one that is unset or empty, and ` + "`${file:path}`" + ` is a file's text less one trailing line end. They are replaced once, before
  anything is checked. A literal ` + "`${`" + ` is written ` + "`$${`" + `.
- **Environment.** Every single value that is not inside a list can be set by ` + "`GATEHOUSE_`" + ` and its path in capitals, with ` + "`_`" + `
  for each dot: ` + "`GATEHOUSE_SERVER_LISTEN`" + `. It wins over the file, also when it is empty, and is taken as it is, without references.
- **Types.** Strings that look like something else need quotes: ` + "`\"0123\"`, `\"true\"`" + `. Booleans are ` + "`true` and `false`" + `. Durations
  are written ` + "`200ms`, `30s`, `1h30m`" + `, sizes ` + "`512B`, `32KiB`, `10MiB`" + `, rates ` + "`10/5m`" + `. Relative
  paths begin at the folder of the config file.
- **YAML.** One document of at most 1 MiB. Anchors and aliases work; merge keys and tags do not.

Every key, with ` + "`[]`" + ` for the items of a list:
`

const referenceUsers = `
## A users file

What ` + "`token_service.users[].file`" + ` names: one YAML list of at most 16 MiB, read as strictly, but without references, since hashes
have dollar signs in them. Numbers in claims keep their digits.

` + "```yaml" + `
- id: user-123
  username: jane
  email: jane@example.com
  password_hash: "$argon2id$v=19$m=19456,t=2,p=1$…$…"   # gatehouse user hash
  claims: {given_name: Jane, roles: [staff, admin]}
` + "```" + `

| key | type | default | meaning |
|---|---|---|---|
`

// Reference returns the format's reference in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceIntro)
	for _, f := range fieldsOf(reflect.TypeFor[Config]()) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", f.name, f.meaning())
		if f.typ == reflect.TypeFor[RouteDefaults]() {
			continue // the keys stand under routes
		}
		b.WriteString("\n| key | type | default | meaning |\n|---|---|---|---|\n")
		referenceRows(&b, f.typ, f.name)
	}
	b.WriteString(referenceUsers)
	referenceRows(&b, reflect.TypeFor[User](), "")
	return b.String()
}

// referenceRows writes a row for each key under a type, depth first.
func referenceRows(b *strings.Builder, t reflect.Type, path string) {
	if t.Kind() == reflect.Slice {
		t, path = t.Elem(), path+"[]"
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || isScalar(t) {
		return
	}
	for _, f := range fieldsOf(t) {
		at := join(path, f.name)
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", at, typeName(f.typ), defaultName(f), strings.ReplaceAll(f.meaning(), "|", `\|`))
		referenceRows(b, f.typ, at)
	}
}

func typeName(t reflect.Type) string {
	switch {
	case isScalar(t):
		return notations[t].noun
	case t == reflect.TypeFor[Upstreams]():
		return "URL, or list of mappings"
	case t.Kind() == reflect.Slice && isScalar(t.Elem()):
		return "list of " + typeName(t.Elem()) + "s"
	case t.Kind() == reflect.Slice:
		return "list of mappings"
	default:
		return "mapping"
	}
}

func defaultName(f field) string {
	switch {
	case f.missing != "":
		return "required"
	case f.inherit != "":
		return "that of `" + f.inherit + "`"
	case f.def != "":
		return "`" + f.def + "`"
	default:
		return ""
	}
}
