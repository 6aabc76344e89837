package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/test/rig"
)

// seen are the values in a transcript that differ each time. Whatever comes
// again is called by the name that it got first.
type seen struct {
	values map[string]string // by name, as login.access
	names  map[string]string // by value
}

var (
	reference = regexp.MustCompile(`\{([\w-]+\.(?:access|refresh))\}`)
	basic     = regexp.MustCompile(`\{basic ([^}]*)\}`)
	repeated  = regexp.MustCompile(`\{(.)\*(\d+)\}`)
	jws       = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)
	seconds   = regexp.MustCompile(`^[1-9]\d{0,2}$`)
	opaque    = regexp.MustCompile(`^[\w-]{43,}$`)
)

// request makes the bytes to send of a request section.
func (s *seen) request(t *testing.T, section string) string {
	t.Helper()
	section = reference.ReplaceAllStringFunc(section, func(m string) string {
		value, found := s.values[m[1:len(m)-1]]
		if !found {
			t.Fatalf("%s did not come", m)
		}
		return value
	})
	section = basic.ReplaceAllStringFunc(section, func(m string) string {
		return base64.StdEncoding.EncodeToString([]byte(basic.FindStringSubmatch(m)[1]))
	})
	section = repeated.ReplaceAllStringFunc(section, func(m string) string {
		parts := repeated.FindStringSubmatch(m)
		n, _ := strconv.Atoi(parts[2])
		return strings.Repeat(parts[1], n)
	})
	head, body, _ := strings.Cut(section, "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	lines[0] += " HTTP/1.1"
	lines = append(lines, "Host: gw.example", "Connection: close")
	body = strings.TrimSuffix(body, "\n")
	if body != "" || strings.HasPrefix(lines[0], "POST ") {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// always are the headers of every answer, and what they must look like.
var always = map[string]*regexp.Regexp{
	"Content-Length": regexp.MustCompile(`^\d+$`), "Date": regexp.MustCompile(` GMT$`),
	"X-Request-Id": regexp.MustCompile(`^[\w.-]{16,}$`),
}

// normal makes the sections of an answer.
func (s *seen) normal(t *testing.T, name string, a rig.Answer) (answer, token string) {
	t.Helper()
	s.names[a.Header.Get("X-Request-Id")] = "request_id"
	for header, pattern := range always {
		if lines := a.Header.Values(header); len(lines) != 1 || !pattern.MatchString(lines[0]) {
			t.Errorf("%s: %s is %q", name, header, lines)
		}
		a.Header.Del(header)
	}
	a.Header.Del("Connection") // it was asked for
	if n := a.Header.Get("Retry-After"); seconds.MatchString(n) {
		a.Header.Set("Retry-After", "<n>")
	}
	for _, access := range slices.Concat(jws.FindAllString(a.Body, -1), jws.FindAllString(fmt.Sprint(a.Header), -1)) {
		if s.names[access] == "" {
			made := s.token(t, name, access)
			if token == "" {
				token = made
			}
		}
	}
	var b strings.Builder
	fmt.Fprintln(&b, a.Status)
	for _, header := range slices.Sorted(maps.Keys(map[string][]string(a.Header))) {
		for _, line := range a.Header[header] {
			fmt.Fprintf(&b, "%s: %s\n", header, jws.ReplaceAllStringFunc(line, s.placeholder))
		}
	}
	if a.Body != "" {
		b.WriteString("\n" + s.body(t, name, a))
	}
	return b.String(), token
}

// placeholder is what stands for a value.
func (s *seen) placeholder(value string) string {
	if name := s.names[value]; name != "" {
		return "<" + name + ">"
	}
	return value
}

// learn gives a value its name.
func (s *seen) learn(name, value string) {
	if s.names[value] == "" {
		s.names[value], s.values[name] = name, value
	}
}

// token learns an access token and returns its section.
func (s *seen) token(t *testing.T, name, access string) string {
	t.Helper()
	s.learn(name+".access", access)
	parts := strings.Split(access, ".")
	var text string
	for _, part := range parts[:2] {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		var ids struct{ JTI, SID string }
		if err := json.Unmarshal(raw, &ids); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if ids.JTI != "" {
			s.learn(name+".jti", ids.JTI)
			s.learn(name+".sid", ids.SID)
		}
		text += s.json(t, name, raw)
	}
	return text
}

// body is an answer's body in its normal form.
func (s *seen) body(t *testing.T, name string, a rig.Answer) string {
	t.Helper()
	if !strings.Contains(a.Header.Get("Content-Type"), "json") {
		return strings.TrimSuffix(a.Body, "\n") + "\n"
	}
	return s.json(t, name, []byte(a.Body))
}

// json is a JSON text in its normal form.
func (s *seen) json(t *testing.T, name string, text []byte) string {
	t.Helper()
	value := decode(text)
	if value == nil {
		t.Fatalf("%s: no JSON object, or names twice in one: %s", name, text)
	}
	return encode(s.replace(name, "", value))
}

// decode returns a JSON value with its numbers as they stand, nil when it is
// none.
func decode(text []byte) any {
	if !jsontext.Value(text).IsValid() {
		return nil
	}
	var value any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&value) != nil {
		return nil
	}
	return value
}

func encode(value any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(value) // it was decoded
	return b.String()
}

// replace puts placeholders into a value, which stands under that key.
func (s *seen) replace(name, key string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		issued, begun := v["iat"], v["auth_time"]
		for k, member := range v {
			v[k] = s.replace(name, k, member)
			if k == "exp" && v["token_type"] == "refresh_token" {
				v[k] = since(begun, member) // the end of its session
			} else if k == "exp" || k == "nbf" || k == "auth_time" {
				v[k] = since(issued, member)
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = s.replace(name, key, v[i])
		}
		return v
	case json.Number:
		if n, err := v.Int64(); key == "iat" && err == nil && time.Since(time.Unix(n, 0)).Abs() < time.Minute {
			return "<now>"
		}
		return v
	case string:
		return s.text(name, key, v)
	default:
		return v
	}
}

// since is a time in seconds from another, a minute or less as about the same:
// a session's later tokens are issued a moment after its first.
func since(issued, member any) any {
	a, isNumber := issued.(json.Number)
	b, alsoNumber := member.(json.Number)
	if !isNumber || !alsoNumber {
		return member
	}
	from, err := a.Int64()
	to, err2 := b.Int64()
	if err != nil || err2 != nil {
		return member
	}
	if from-to >= 0 && from-to < 60 {
		return "<now>"
	}
	return fmt.Sprintf("<now+%d>", to-from)
}

// text replaces a string that differs each time.
func (s *seen) text(name, key, value string) string {
	switch {
	case (key == "refresh_token" || key == "refreshToken") && opaque.MatchString(value) && !jws.MatchString(value):
		s.learn(name+".refresh", value)
	case (key == "x" || key == "y" || key == "n") && opaque.MatchString(value):
		return "<coordinate>"
	}
	return s.placeholder(value)
}

// tidy brings a section that was written by hand into the normal form.
func tidy(section string) string {
	head, body := "", section
	if !strings.HasPrefix(section, "{") {
		var found bool
		if head, body, found = strings.Cut(section, "\n\n"); !found || !strings.HasPrefix(body, "{") {
			return section
		}
		head += "\n\n"
	}
	for d := jsontext.NewDecoder(strings.NewReader(body)); ; {
		value, err := d.ReadValue()
		if err != nil {
			return head
		}
		head += encode(decode(value))
	}
}
