package auth

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Claims are the members of a JSON object: a token's payload, verified and
// unchanged, or its header. Values keep the bytes they came with, so that
// numbers are passed on digit for digit.
type Claims struct {
	members []member
}

type member struct {
	name  string
	value jsontext.Value
}

var errNotObject = errors.New("not a JSON object")

// decoders are reused: one decoder costs more than reading a token's claims.
var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// parseClaims reads one JSON object. It refuses duplicate names at any depth,
// invalid UTF-8, and anything behind the object. Claims keep parts of data.
func parseClaims(data []byte) (Claims, error) {
	var c Claims
	d := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(d)
	d.Reset(bytes.NewBuffer(data))
	if d.PeekKind() != '{' {
		return c, errNotObject
	}
	if _, err := d.ReadToken(); err != nil {
		return c, err
	}
	c.members = make([]member, 0, 12)
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return c, err
		}
		m := member{name: name.String()}
		if m.value, err = d.ReadValue(); err != nil {
			return c, err
		}
		end := int(d.InputOffset())
		m.value = data[end-len(m.value) : end : end] // the decoder's own copy is overwritten by its next user
		c.members = append(c.members, m)
	}
	if _, err := d.ReadToken(); err != nil {
		return c, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return c, errors.New("data behind the JSON object")
	}
	return c, nil
}

// get returns a top-level member, nil when there is none. Names are compared
// exactly.
func (c Claims) get(name string) jsontext.Value {
	for i := range c.members {
		if c.members[i].name == name {
			return c.members[i].value
		}
	}
	return nil
}

// Lookup finds a claim by path: the member of that very name, else the longest
// prefix before a dot that is a member, and the rest of the path inside it. So
// `realm.roles` finds both {"realm.roles":…} and {"realm":{"roles":…}}. It
// returns nil where there is none; null counts as none.
func (c Claims) Lookup(path string) jsontext.Value {
	if v := c.get(path); v != nil {
		return notNull(v)
	}
	for end := strings.LastIndexByte(path, '.'); end > 0; end = strings.LastIndexByte(path[:end], '.') {
		v := c.get(path[:end])
		if v == nil || v.Kind() != '{' {
			continue
		}
		inner, err := parseClaims(v)
		if err != nil {
			return nil
		}
		if found := inner.Lookup(path[end+1:]); found != nil {
			return found
		}
	}
	return nil
}

func notNull(v jsontext.Value) jsontext.Value {
	if v.Kind() == 'n' {
		return nil
	}
	return v
}

// text returns a string, number or boolean as text: a string's content, the
// rest as written. ok is false for anything else, and for numbers with an
// exponent, which upstreams would read in different ways.
func text(v jsontext.Value) (s string, ok bool) {
	switch v.Kind() {
	case '"':
		if bytes.IndexByte(v, '\\') < 0 {
			return string(v[1 : len(v)-1]), true
		}
		b, err := jsontext.AppendUnquote(nil, v)
		return string(b), err == nil
	case '0':
		return string(v), bytes.IndexAny(v, "eE") < 0
	case 't', 'f':
		return string(v), true
	}
	return "", false
}

// texts returns the elements of an array as text, or a single value as one
// element. ok is false when an element is neither string, number nor boolean.
func texts(v jsontext.Value) (all []string, ok bool) {
	if v.Kind() != '[' {
		s, ok := text(v)
		return []string{s}, ok
	}
	d := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(d)
	d.Reset(bytes.NewBuffer(v))
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	all = []string{}
	for d.PeekKind() != ']' {
		element, err := d.ReadValue()
		if err != nil {
			return nil, false
		}
		s, ok := text(element)
		if !ok {
			return nil, false
		}
		all = append(all, s)
	}
	return all, true
}

// date reads a NumericDate (RFC 7519 §2) in Unix seconds, a fraction cut off.
// ok is false when the value is no number or no date of this era.
func date(v jsontext.Value) (seconds int64, ok bool) {
	if v.Kind() != '0' {
		return 0, false
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return n, n > -maxDate && n < maxDate
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f <= -maxDate || f >= maxDate {
		return 0, false
	}
	return int64(math.Floor(f)), true
}

// maxDate is far beyond any real date and far from where sums overflow.
const maxDate = 1 << 53

// words returns a list that may be written as one string of words or as an
// array, as `scope` (RFC 8693 §4.2) and `scp` are in the wild.
func words(v jsontext.Value) []string {
	if v == nil {
		return nil
	}
	if v.Kind() == '"' {
		s, _ := text(v)
		return strings.Fields(s)
	}
	all, _ := texts(v)
	return all
}
