package transport

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"gatehouse/proxy/field"
)

// readAnswer reads the header of an answer: itself if it is an ordinary one
// that is there as a whole, else by the codec.
func (x *exchange) readAnswer() (*http.Response, error) {
	in := x.conn.in
	received, _ := in.Peek(in.Buffered())
	if end := bytes.Index(received, []byte("\r\n\r\n")); end >= 0 && x.request.Method != http.MethodHead {
		if res := ordinary(string(received[:end+2])); res != nil {
			_, _ = in.Discard(end + 4)
			res.Request, res.Body = x.request, http.NoBody
			if res.ContentLength > 0 {
				x.counted = counted{in, res.ContentLength}
				res.Body = &x.counted
			}
			return res, nil
		}
	}
	return http.ReadResponse(in, x.request)
}

// ordinary reads the header of an HTTP/1.1 answer that has a length and nothing
// else that bears on where it ends, in strict form and one pass. It returns nil
// for any other, of which nothing is said thereby.
func ordinary(head string) *http.Response {
	status, ok := strings.CutPrefix(head, "HTTP/1.1 ")
	status, lines, _ := strings.Cut(status, "\r\n")
	if !ok || len(status) < 5 || status[3] != ' ' || !field.IsValue(status) {
		return nil
	}
	code, err := strconv.ParseUint(status[:3], 10, 16)
	if err != nil || code < 200 || code == http.StatusNoContent || code == http.StatusNotModified {
		return nil
	}
	n := strings.Count(lines, "\n")
	h, values, length := make(http.Header, n), make([]string, n), int64(-1)
	for i := range n {
		var line string
		line, lines, _ = strings.Cut(lines, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) || !field.IsValue(value) {
			return nil
		}
		name, value = textproto.CanonicalMIMEHeaderKey(name), textproto.TrimString(value)
		switch name {
		case "Content-Length":
			if length, err = strconv.ParseInt(value, 10, 64); err != nil || h[name] != nil || value[0] == '+' || value[0] == '-' {
				return nil
			}
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return nil
			}
		case "Transfer-Encoding", "Pragma": // with which the codec does something
			return nil
		}
		if h[name] != nil {
			h[name] = append(h[name], value)
			continue
		}
		values[i] = value
		h[name] = values[i : i+1 : i+1]
	}
	if length < 0 {
		return nil
	}
	return &http.Response{
		Status: status, StatusCode: int(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, ContentLength: length,
	}
}

// counted is the body of an answer whose length is known.
type counted struct {
	in   *bufio.Reader
	left int64
}

// Close does nothing: see [exchange.Close].
func (c *counted) Close() error { return nil }

// Read returns io.EOF together with the last byte, so that the connection is
// free before anybody asks for more.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	switch {
	case c.left == 0:
		return n, io.EOF
	case err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}
