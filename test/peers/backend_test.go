package peers

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// received is a request as the backend read it.
type received struct {
	method, target string
	header         []string // lines
	body           string
	raw            []byte // exactly what came
}

// values are those of a header, by its name in any case.
func (r *received) values(name string) (all []string) {
	for _, line := range r.header {
		if n, v, _ := strings.Cut(line, ":"); strings.EqualFold(n, name) {
			all = append(all, strings.Trim(v, " "))
		}
	}
	return all
}

// backend reads requests and answers each with its number. It takes only what
// nobody reads in two ways, and closes the connection on anything else.
type backend struct {
	addr  string
	mu    sync.Mutex
	all   []*received // by number
	wrong []string    // what it could not read
}

func startBackend(t *testing.T) *backend {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{addr: l.Addr().String()}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(c)
		}
	}()
	return b
}

func (b *backend) serve(c net.Conn) {
	defer c.Close()
	in := &tap{from: c}
	r := bufio.NewReader(in)
	for {
		request, err := readStrictly(r)
		taken := in.taken.Len() - r.Buffered()
		raw := bytes.Clone(in.taken.Next(taken))
		if errors.Is(err, errStrict) {
			b.mu.Lock()
			b.wrong = append(b.wrong, fmt.Sprintf("%v in %q", err, raw))
			b.mu.Unlock()
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
		if err != nil { // the client going away in the midst of a request is no fault
			return
		}
		request.raw = raw
		b.mu.Lock()
		number := len(b.all)
		b.all = append(b.all, request)
		b.mu.Unlock()
		if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Number: %d\r\nContent-Length: 0\r\n\r\n", number); err != nil {
			return
		}
	}
}

// request returns the one of that number, nil when there is none.
func (b *backend) request(number string) *received {
	n, err := strconv.Atoi(number)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil || n < 0 || n >= len(b.all) {
		return nil
	}
	return b.all[n]
}

// tap keeps what is read through it.
type tap struct {
	from  io.Reader
	taken bytes.Buffer
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	t.taken.Write(p[:n])
	return n, err
}

var (
	errStrict = errors.New("not as strict as it must be")

	requestLine = regexp.MustCompile(`^([!-~]+) ([!-~\x80-\xff]+) HTTP/1\.[01]$`)
	headerLine  = regexp.MustCompile(`^[!#$%&'*+.^_|~0-9A-Za-z` + "`" + `-]+:[^\x00\r\n]*$`)
	chunkSize   = regexp.MustCompile(`^[0-9A-Fa-f]{1,8}$`)
)

func strictLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.Contains(text, "\r") {
		return "", fmt.Errorf("%w: line %q", errStrict, line)
	}
	return text, nil
}

func readStrictly(r *bufio.Reader) (*received, error) {
	line, err := strictLine(r)
	if err != nil {
		return nil, err
	}
	m := requestLine.FindStringSubmatch(line)
	if m == nil {
		return nil, fmt.Errorf("%w: request line %q", errStrict, line)
	}
	q := &received{method: m[1], target: m[2]}
	for {
		if line, err = strictLine(r); err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		if !headerLine.MatchString(line) {
			return nil, fmt.Errorf("%w: header line %q", errStrict, line)
		}
		q.header = append(q.header, line)
	}
	length, coding := q.values("Content-Length"), q.values("Transfer-Encoding")
	switch {
	case len(length)+len(coding) > 1 || len(coding) == 1 && coding[0] != "chunked" || len(q.values("Host")) > 1:
		return nil, fmt.Errorf("%w: framing %q", errStrict, q.header)
	case len(coding) == 1:
		q.body, err = readChunks(r)
	case len(length) == 1:
		n, parseError := strconv.ParseUint(length[0], 10, 31)
		if parseError != nil {
			return nil, fmt.Errorf("%w: Content-Length %q", errStrict, length)
		}
		b := make([]byte, n)
		_, err = io.ReadFull(r, b)
		q.body = string(b)
	}
	return q, err
}

func readChunks(r *bufio.Reader) (string, error) {
	var body strings.Builder
	for {
		line, err := strictLine(r)
		if err != nil {
			return "", err
		}
		if !chunkSize.MatchString(line) {
			return "", fmt.Errorf("%w: chunk size %q", errStrict, line)
		}
		size, _ := strconv.ParseInt(line, 16, 64)
		if _, err := io.CopyN(&body, r, size); err != nil {
			return "", err
		}
		if line, err = strictLine(r); err != nil {
			return "", err
		}
		if line != "" {
			return "", fmt.Errorf("%w: %q behind a chunk", errStrict, line)
		}
		if size == 0 {
			return body.String(), nil
		}
	}
}
