package wire

import (
	"bytes"
	"net/http"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A second reading of HTTP/1 by other means, to compare with: a request is
// what these expressions match, and nothing else.
var (
	headForm = regexp.MustCompile(`^(?s:\r\n)?([A-Z-]{1,32}) ((?i:https?://([^/ ]+))?(/(?:[!"$&-.0->@-~/]|%[0-9A-Fa-f]{2})*(?:\?[!"$-~]*)?)) HTTP/1\.([01])\r\n((?:[A-Za-z0-9-]+:[\t -~\x80-\xff]*\r\n)*)\r\n`)
	hostForm = regexp.MustCompile(`^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$`)
	sizeForm = regexp.MustCompile(`^([0-9A-Fa-f]{1,15})(?:;[\t -~\x80-\xff]*)?\r\n`)
	lastForm = regexp.MustCompile(`^(?:[A-Za-z0-9-]+:[\t -~\x80-\xff]*\r\n)*\r\n`)
)

// latin makes runes of bytes, which is what regexp understands.
func latin(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

func bytesOf(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// strict reads the requests that stand whole at the beginning of the stream.
func strict(stream []byte) (all []seen) {
	s := latin(stream)
	for {
		req, rest, ok := strictRequest(s)
		if !ok {
			return all
		}
		all, s = append(all, req), rest
	}
}

func strictRequest(s string) (req seen, rest string, ok bool) {
	m := headForm.FindStringSubmatch(s)
	if m == nil || m[1] == "CONNECT" || len(m[4]) > maxTargetBytes || len(m[0]) > testConfig.MaxHeaderBytes {
		return req, "", false
	}
	if _, query, _ := strings.Cut(m[4], "?"); len(query) > maxQueryBytes {
		return req, "", false
	}
	req = seen{Method: m[1], Target: bytesOf(m[2]), Header: http.Header{}}
	lines := strings.Split(m[6], "\r\n")
	if len(lines)-1 > maxHeaderLines {
		return req, "", false
	}
	for _, line := range lines[:len(lines)-1] {
		name, value, _ := strings.Cut(line, ":")
		name = textproto.CanonicalMIMEHeaderKey(name)
		if name == "Transfer-Encoding" && strings.Contains(value, "\t") {
			return req, "", false
		}
		req.Header[name] = append(req.Header[name], bytesOf(strings.Trim(value, " \t")))
	}
	host, te, cl := req.Header["Host"], req.Header["Transfer-Encoding"], req.Header["Content-Length"]
	switch {
	case len(host) > 1, len(host) == 0 && (m[5] == "1" || m[3] != ""), len(host) == 1 && (!hostForm.MatchString(host[0]) || strings.Contains(host[0], "..")):
		return req, "", false
	case m[3] != "" && !strings.EqualFold(bytesOf(m[3]), host[0]):
		return req, "", false
	case len(te)+len(cl) > 1, len(te) == 1 && (m[5] == "0" || te[0] != "chunked"):
		return req, "", false
	case len(req.Header["Expect"]) > 0 && !(len(req.Header["Expect"]) == 1 && strings.EqualFold(req.Header["Expect"][0], "100-continue")):
		return req, "", false
	}
	if len(host) == 1 {
		req.Host = host[0]
	}
	if m[3] != "" {
		req.Host = bytesOf(m[3])
	}
	for _, name := range []string{"Host", "Transfer-Encoding", "Trailer"} {
		delete(req.Header, name)
	}
	if strings.EqualFold(strings.Join(req.Header["Pragma"], "|"), "no-cache") || len(req.Header["Pragma"]) > 0 {
		if len(req.Header["Cache-Control"]) == 0 && req.Header["Pragma"][0] == "no-cache" {
			req.Header["Cache-Control"] = []string{"no-cache"} // as net/http has it (RFC 7234 §5.4)
		}
	}
	rest = s[len(m[0]):]
	if len(te) == 1 {
		req.Body, rest, ok = strictChunks(rest)
		return req, rest, ok
	}
	length := 0
	if len(cl) == 1 {
		n, err := strconv.ParseUint(cl[0], 10, 62)
		if err != nil || len(cl[0]) > 18 {
			return req, "", false
		}
		if n > uint64(len([]rune(rest))) {
			return req, "", false
		}
		length = int(n)
	}
	runes := []rune(rest)
	req.Body = bytesOf(string(runes[:length]))
	return req, string(runes[length:]), true
}

func strictChunks(s string) (body, rest string, ok bool) {
	extra := 0
	for {
		m := sizeForm.FindStringSubmatch(s)
		if m == nil {
			return "", "", false
		}
		s = s[len(m[0]):]
		extra += len([]rune(m[0])) - len(m[1]) - 2
		size, _ := strconv.ParseInt(m[1], 16, 62)
		if size == 0 {
			last := lastForm.FindString(s)
			return body, s[len(last):], last != "" && extra+len([]rune(last)) <= maxChunkExtra
		}
		runes := []rune(s)
		if size > int64(len(runes))-2 || string(runes[size:size+2]) != "\r\n" {
			return "", "", false
		}
		body += bytesOf(string(runes[:size]))
		s = string(runes[size+2:])
	}
}

// FuzzConn holds three promises on any stream: what gets to a handler is what
// the second reading finds, no more requests and no others; the cuts change
// nothing; and net/http is never left to answer by itself.
func FuzzConn(f *testing.F) {
	for _, s := range []string{
		get + "\r\n" + next, post + "Content-Length: 4\r\n\r\nbody" + next,
		post + "Transfer-Encoding: chunked\r\nTrailer: A\r\n\r\n1;a=b\r\nx\r\n10\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n" + next,
		post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + next,
		"\r\nGET http://h:80/%41?%zz HTTP/1.0\r\nHost: H:80\r\nConnection: keep-alive\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "CONNECT h:1 HTTP/1.1\r\n\r\n",
		get + "Expect: 100-continue\r\nX_Y: z\r\n\r\n", get + "A: b\r\n c\r\n\r\n", "GET / HTTP/1.1\nHost: [::1]:1\n\n",
		get + "Pragma: no-cache\r\n\r\n", post + "Content-Length: 000000000000000001\r\n\r\nx\r\n" + next,
	} {
		f.Add([]byte(s), uint16(len(s)/2))
	}
	f.Fuzz(func(t *testing.T, stream []byte, cut uint16) {
		if len(stream) > 64<<10 {
			return
		}
		whole, fault := understood(t, testConfig, bytes.Clone(stream))
		at := int(cut) % (len(stream) + 1)
		for _, pieces := range [][][]byte{bytewise(string(stream)), {bytes.Clone(stream[:at]), bytes.Clone(stream[at:])}} {
			got, again := understood(t, testConfig, pieces...)
			if !sameRequests(got, whole) || (fault == nil) != (again == nil) || fault != nil && *fault != *again {
				t.Fatalf("cut: understood %v, fault %+v\nwhole: %v, fault %+v", got, again, whole, fault)
			}
		}
		if want := strict(stream); !sameRequests(whole, want) {
			t.Fatalf("understood %v, fault %+v\nwant %v", whole, fault, want)
		}
	})
}
