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
// numbers are passed on digit for digit. Members are offsets and not slices:
// thousands of remembered tokens are then nothing to the garbage collector.
type Claims struct {
	data    []byte
	members []member
}

// JSON returns the whole object as it stands in the token; not to be changed.
func (c Claims) JSON() []byte { return c.data }

// member is where a name (without quotes) and a value are in the data.
type member struct{ name, nameEnd, value, valueEnd uint32 }

var errNotObject = errors.New("not a JSON object")

// decoders are reused: one decoder costs more than reading a token's claims.
var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// parseClaims reads one JSON object. It refuses duplicate names at any depth,
// invalid UTF-8, and anything behind the object. Claims keep data.
func parseClaims(data []byte) (Claims, error) {
	c := Claims{data: data, members: make([]member, 0, 12)}
	d := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(d)
	d.Reset(bytes.NewBuffer(data))
	if d.PeekKind() != '{' {
		return Claims{}, errNotObject
	}
	if _, err := d.ReadToken(); err != nil {
		return Claims{}, err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadValue()
		if err != nil {
			return Claims{}, err
		}
		m := c.named(name, int(d.InputOffset()))
		value, err := d.ReadValue()
		if err != nil {
			return Claims{}, err
		}
		m.valueEnd = uint32(d.InputOffset())
		m.value = m.valueEnd - uint32(len(value))
		c.members = append(c.members, m)
	}
	if _, err := d.ReadToken(); err != nil {
		return Claims{}, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return Claims{}, errors.New("data behind the JSON object")
	}
	return c, nil
}

// named begins a member with a name that is quoted and ends at that offset. A
// name with escapes is written again without them, behind the data.
func (c *Claims) named(quoted jsontext.Value, end int) member {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return member{name: uint32(end - len(quoted) + 1), nameEnd: uint32(end - 1)}
	}
	from := len(c.data)
	// Not into the room behind the caller's slice, if there is any. A name that
	// was read cannot fail to be unquoted.
	c.data, _ = jsontext.AppendUnquote(c.data[:from:from], quoted)
	return member{name: uint32(from), nameEnd: uint32(len(c.data))}
}

func (c Claims) nameOf(m member) []byte { return c.data[m.name:m.nameEnd] }

func (c Claims) valueOf(m member) jsontext.Value { return c.data[m.value:m.valueEnd:m.valueEnd] }

// get returns a top-level member, nil when there is none. Names are compared
// exactly.
func (c Claims) get(name string) jsontext.Value {
	for _, m := range c.members {
		if string(c.nameOf(m)) == name {
			return c.valueOf(m)
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
		if v.Kind() != '{' { // nil is of no kind
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
		return string(v), !bytes.ContainsAny(v, "eE")
	case 't', 'f':
		return string(v), true
	}
	return "", false
}

// texts returns the elements of an array as text, or a single value as one
// element. ok is false, and nothing is returned, when v is nil or an element is
// neither string, number nor boolean.
func texts(v jsontext.Value) (all []string, ok bool) {
	if v.Kind() != '[' {
		s, ok := text(v)
		if !ok {
			return nil, false
		}
		return []string{s}, true
	}
	d := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(d)
	d.Reset(bytes.NewBuffer(v))
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
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
	f, err := strconv.ParseFloat(string(v), 64) // fails for every other kind of JSON value
	if err != nil || math.Abs(f) >= maxDate {
		return 0, false
	}
	return int64(math.Floor(f)), true
}

// maxDate is far beyond any real date, far from where sums overflow, and the
// bound below which a float64 holds every whole second.
const maxDate = 1 << 53

// words returns a list that may be written as one string of words or as an
// array, as `scope` (RFC 8693 §4.2) and `scp` are in the wild.
func words(v jsontext.Value) []string {
	if v.Kind() == '"' {
		s, _ := text(v)
		return strings.Fields(s)
	}
	all, _ := texts(v)
	return all
}
