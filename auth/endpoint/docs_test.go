package endpoint

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// docs/dialects.md has a page for each dialect. It names every path, and shows
// only what is answered: any other key in it, or one less, is an error.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/dialects.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```json\n(.*?)\n```")
	for dialect := range dialects {
		_, page, found := strings.Cut(string(text), "\n## `"+dialect+"`\n")
		page, _, _ = strings.Cut(page, "\n## ")
		if !found {
			t.Errorf("there is no page for %s", dialect)
			continue
		}
		for _, path := range newFixture(t, dialect).endpoint.Paths() {
			inCommand := strings.TrimPrefix(path, "/ma-authentication-ms/v1/api")
			if !strings.Contains(page, "$GW"+inCommand) && !strings.Contains(page, "$API"+inCommand) {
				t.Errorf("the page for %s has no command for %s", dialect, path)
			}
		}
		answered := answers(t, dialect)
		for _, block := range shown.FindAllStringSubmatch(page, -1) {
			if !answered[shape(t, block[1])] {
				t.Errorf("%s never answers %s", dialect, block[1])
			}
		}
	}
}

// answers are the shapes of what a dialect answers.
func answers(t *testing.T, dialect string) map[string]bool {
	shapes := map[string]bool{}
	f := newFixture(t, dialect)
	compact, verified := signed(t, map[string]any{"iss": "https://auth.example.com", "sub": "user-1", "aud": "api", "exp": now.Unix() + 60})
	f.engine.token = verified
	_, verified = signed(t, withAudience("api"))
	for _, g := range good {
		if g.dialect != dialect {
			continue
		}
		request := strings.Replace(g.request, "e30.e30.e30", compact, 1)
		for _, i := range []token.Introspected{{}, {Active: true, Token: verified}} {
			f.engine.err, f.engine.introspected = nil, i
			if a := f.send(request); a.Body.Len() > 0 {
				shapes[shape(t, a.Body.String())] = true
			}
		}
		f.engine.err = &token.Error{Reason: auth.CredentialsInvalid}
		shapes[shape(t, f.send(request).Body.String())] = true
	}
	return shapes
}

func withAudience(aud string) map[string]any {
	c := claims()
	c["aud"] = aud
	return c
}

// shape is a JSON text without its values: names and kinds.
func shape(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return shapeOf(v)
}

func shapeOf(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var members []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			members = append(members, name+":"+shapeOf(v[name]))
		}
		return "{" + strings.Join(members, ",") + "}"
	case []any:
		var elements []string
		for _, e := range v {
			elements = append(elements, shapeOf(e))
		}
		return "[" + strings.Join(elements, ",") + "]"
	case string:
		return "string"
	case float64:
		return "number"
	}
	return "other"
}
