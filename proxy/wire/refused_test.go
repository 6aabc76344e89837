package wire

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gatehouse/auth"
)

// refusal is a request that must not get through.
type refusal struct {
	name, raw string
	status    int
}

const (
	get  = "GET / HTTP/1.1\r\nHost: h\r\n"
	post = "POST / HTTP/1.1\r\nHost: h\r\n"
	next = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n" // must never be answered
)

var statusReason = map[int]auth.Reason{
	400: auth.RequestMalformed, 501: auth.RequestMalformed, 505: auth.RequestMalformed, 414: auth.RequestMalformed,
	431: auth.RequestTooLarge, 405: auth.MethodNotAllowed, 408: auth.RequestTimeout,
}

// refused sends each request, with another behind it, over a socket, and again
// without a network, cut at every place.
func refused(t *testing.T, rows ...refusal) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var h recorder
			c := dial(t, serve(t, testConfig, &h))
			c.send(row.raw + next)
			resp, body := c.answer("GET")
			c.wantClosed()
			if resp.StatusCode != row.status || resp.Header.Get("X-Reason") != statusReason[row.status].String() || !resp.Close {
				t.Errorf("answer %d %q %q, close %v; want %d and close", resp.StatusCode, resp.Header.Get("X-Reason"), body, resp.Close, row.status)
			}
			if h.reached.Load() != 0 {
				t.Error("the handler was reached")
			}
			splits(t, row)
		})
	}
}

func splits(t *testing.T, row refusal) {
	t.Helper()
	check := func(how string, pieces ...[]byte) {
		t.Helper()
		got, f := understood(t, testConfig, pieces...)
		if len(got) != 0 || f == nil || f.Status != row.status {
			t.Fatalf("%s: understood %v, fault %+v; want %d", how, got, f, row.status)
		}
	}
	raw := row.raw + next
	check("bytewise", bytewise(raw)...)
	if len(raw) < 1000 {
		for i := range raw {
			check(fmt.Sprint("cut at ", i), []byte(raw[:i]), []byte(raw[i:]))
		}
	}
}

func TestS01LengthAndChunked(t *testing.T) {
	refused(t,
		refusal{"length first", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		refusal{"chunked first", post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400},
		refusal{"length of nothing", post + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", 400},
	)
}

func TestS02TransferEncodingVariants(t *testing.T) {
	for te, status := range map[string]int{
		": xchunked": 501, ": identity": 501, ": gzip, chunked": 501, ": chunked, gzip": 501, ": chunked, chunked": 501, ": Chunked": 501,
		": chunked;q=1": 501, ": \"chunked\"": 501, ": chunked,": 501,
		":\tchunked": 400, ": chunked\t": 400, ": \x0bchunked": 400, ":": 400, ": ": 400, " : chunked": 400,
		": chunked\r\nTransfer-Encoding: chunked": 400, ": chunked\r\ntransfer-encoding: identity": 400, ": chunked\r\n ": 400,
	} {
		refused(t, refusal{fmt.Sprintf("%q", te), post + "Transfer-Encoding" + te + "\r\n\r\n0\r\n\r\n", status})
	}
}

func TestS03ChunkedInHTTP10(t *testing.T) {
	refused(t, refusal{"keep-alive", "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400})
}

func TestS04ContentLengthVariants(t *testing.T) {
	for _, cl := range []string{
		" +4", " -4", " 4, 4", " 4,5", "", " ", " 0x4", " 4 4", " 4.0", " 1e1", " 9223372036854775808", " 99999999999999999999", " \xb4",
		" 4\r\nContent-Length: 4", " 4\r\ncontent-length: 5", " 4\r\n 4",
	} {
		refused(t, refusal{fmt.Sprintf("%q", cl), post + "Content-Length:" + cl + "\r\n\r\nbody", 400})
	}
}

func TestS05ChunkSyntax(t *testing.T) {
	head := post + "Transfer-Encoding: chunked\r\n\r\n"
	for name, body := range map[string]string{
		"bare LF after size": "1\na\r\n0\r\n\r\n", "bare LF after data": "1\r\na\n0\r\n\r\n", "bare CR after size": "1\ra\r\n0\r\n\r\n", "CR and another byte": "1\rXa\r\n0\r\n\r\n", "CR and another byte at the end": "0\rX\r\n", "CR and another byte behind data": "1\r\na\rX0\r\n\r\n", "last CR and another byte": "0\r\n\rX",
		"bare LF at the end": "0\r\n\n", "bare LF after last size": "0\n\r\n", "hex prefix": "0x3\r\nabc\r\n0\r\n\r\n",
		"no size": "\r\nabc\r\n0\r\n\r\n", "sign": "+1\r\na\r\n0\r\n\r\n", "minus": "-1\r\na\r\n0\r\n\r\n", "space before": " 1\r\na\r\n0\r\n\r\n", "space behind": "1 \r\na\r\n0\r\n\r\n",
		"underscore": "1_0\r\na\r\n0\r\n\r\n", "data too long": "1\r\nab\r\n0\r\n\r\n", "overflow": "ffffffffffffffff1\r\na\r\n", "zeros": strings.Repeat("0", 16) + "1\r\na\r\n",
		"only an extension": ";a\r\n\r\n", "control in extension": "1;a\x00\r\na\r\n0\r\n\r\n", "LF in extension": "1;a\n\r\na\r\n0\r\n\r\n",
		"endless extension":  "1;" + strings.Repeat("a", maxChunkExtra) + "\r\na\r\n0\r\n\r\n",
		"endless trailer":    "0\r\n" + strings.Repeat("A: b\r\n", maxChunkExtra/6+1) + "\r\n",
		"request as trailer": "0\r\nGET /admin HTTP/1.1\r\nHost: h\r\n\r\n", "trailer without name": "0\r\n: a\r\n\r\n", "trailer without colon": "0\r\nabc\r\n\r\n",
		"trailer name": "0\r\nX_User_Id: a\r\n\r\n", "bare LF in trailer": "0\r\nA: b\n\r\n\r\n", "folded trailer": "0\r\nA: b\r\n c\r\n\r\n", "control in trailer": "0\r\nA: \x01\r\n\r\n",
		"bare CR in trailer": "0\r\nA: b\rc\r\n\r\n",
	} {
		refused(t, refusal{name, head + body, 400})
	}
}

func TestS06BareLF(t *testing.T) {
	refused(t,
		refusal{"request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400},
		refusal{"header line", "GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
		refusal{"end", get + "\n", 400},
		refusal{"behind a value", get + "A: bc\n\r\n", 400},
		refusal{"all", "GET / HTTP/1.1\nHost: h\n\n", 400},
		refusal{"bare CR", get + "A: b\rc: d\r\n\r\n", 400},
		refusal{"two CR", get + "A: b\r\r\n\r\n", 400},
	)
}

func TestS07Folded(t *testing.T) {
	refused(t,
		refusal{"space", get + "A: b\r\n c\r\n\r\n", 400},
		refusal{"tab", get + "A: b\r\n\tc: d\r\n\r\n", 400},
		refusal{"white space only", get + "A: b\r\n \r\n\r\n", 400},
		refusal{"first line", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400},
	)
}

func TestS08HeaderNames(t *testing.T) {
	for _, line := range []string{"A : b", "A\t: b", ": b", "A", "A b: c", "A\x00: b", "Ä: b", "\"A\": b", "A(: b", "\x7f: b"} {
		refused(t, refusal{fmt.Sprintf("%q", line), get + line + "\r\n\r\n", 400})
	}
	for _, value := range []string{"\x00", "a\x01b", "\x7f", "\x1b[0m", "a\x0bb"} {
		refused(t, refusal{fmt.Sprintf("value %q", value), get + "A: " + value + "\r\n\r\n", 400})
	}
}

func TestS09Expect(t *testing.T) {
	for _, value := range []string{"", "200-ok", "100-continue, foo", "100-continue\r\nExpect: 100-continue", "foo"} {
		refused(t, refusal{fmt.Sprintf("%q", value), post + "Content-Length: 1\r\nExpect: " + value + "\r\n\r\n", 400})
	}
}

func TestH03UnderscoreAlias(t *testing.T) {
	refused(t, refusal{"underscore", get + "X_User_Id: root\r\n\r\n", 400}, refusal{"mixed", get + "X-User_Id: root\r\n\r\n", 400})
}

func TestH04DotAlias(t *testing.T) {
	refused(t, refusal{"dot", get + "X.User.Id: root\r\n\r\n", 400}, refusal{"bar", get + "X|User|Id: root\r\n\r\n", 400})
}

func TestH05SpaceBeforeColon(t *testing.T) {
	refused(t, refusal{"space", get + "X-User-Id : root\r\n\r\n", 400})
}

func TestP09Fragment(t *testing.T) {
	refused(t,
		refusal{"path", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		refusal{"query", "GET /a?b#c HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	)
}

func TestTargetBytes(t *testing.T) {
	for _, target := range []string{"/\x00", "/a b", "/a\tb", "/ä", "/\x7f", "/%", "/%2", "/%zz", "/%4", "/?a b", "/?\x80", "a", "", "?a", "../a", "h:80", "/a\rb"} {
		refused(t, refusal{fmt.Sprintf("%q", target), "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n", 400})
	}
}

func TestP11AbsoluteForm(t *testing.T) {
	for _, target := range []string{
		"http://evil/", "http://h:80/", "http://u@h/", "http://", "http:///a", "http://h", "http://h?a", "ftp://h/", "file:///etc/passwd",
		"http://h\\evil/", "http:/h/", "//h/../..\x00",
	} {
		refused(t, refusal{target, "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n", 400})
	}
	refused(t, refusal{"no Host", "GET http://h/ HTTP/1.0\r\n\r\n", 400})
}

func TestP12Host(t *testing.T) {
	for _, host := range []string{
		"", " ", "a b", "u@h", "h:", "h:x", "h:123456", ":80", "h/", "h\\", "h,h", "h;a", "[::1", "::1", "[::1]x", "[h]", "[1.2.3.4]", "[fe80::1%25eth0]", "[]", "h%00", "ü", "<h>", "h#", "h?",
	} {
		refused(t, refusal{fmt.Sprintf("%q", host), "GET / HTTP/1.1\r\nHost:" + host + "\r\n\r\n", 400})
	}
	refused(t,
		refusal{"none", "GET / HTTP/1.1\r\nA: b\r\n\r\n", 400},
		refusal{"none at all", "GET / HTTP/1.1\r\n\r\n", 400},
		refusal{"two", get + "Host: g\r\n\r\n", 400},
		refusal{"two equal", get + "hOST: h\r\n\r\n", 400},
		refusal{"two in 1.0", "GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n", 400},
	)
}

func TestP14Method(t *testing.T) {
	for method, status := range map[string]int{
		"get": 405, "Get": 405, "G!": 405, "G_": 405, "G1": 405, strings.Repeat("G", 33): 405,
		"": 400, "G(": 400, "\x16\x03\x01": 400, "G\x00": 400, "GÜ": 400, "\"G\"": 400, " GET": 400, "\tGET": 400,
	} {
		refused(t, refusal{fmt.Sprintf("%q", method), method + " / HTTP/1.1\r\nHost: h\r\n\r\n", status})
	}
}

func TestP15Connect(t *testing.T) {
	refused(t,
		refusal{"authority-form", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 405},
		refusal{"origin-form", "CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", 405},
	)
}

func TestT10Asterisk(t *testing.T) {
	refused(t,
		refusal{"OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 405},
		refusal{"GET", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		refusal{"preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
	)
}

func TestVersion(t *testing.T) {
	for version, status := range map[string]int{
		" HTTP/1.2": 505, " HTTP/1.9": 505, " HTTP/2.0": 505, " HTTP/0.9": 505, " HTTP/3.0": 505,
		"": 400, " ": 400, " HTTP/1": 400, " http/1.1": 400, " HTTP/1.1 ": 400, "  HTTP/1.1": 400, " HTTP/1.10": 400, " HTTP/11.": 400, " HTTP/+.1": 400, " HTTP/1x1": 400, "\tHTTP/1.1": 400, " HTTPS/1.1": 400, " ICAP/1.0": 400,
	} {
		refused(t, refusal{fmt.Sprintf("%q", version), "GET /" + version + "\r\nHost: h\r\n\r\n", status})
	}
	refused(t, refusal{"two empty lines", "\r\n\r\n" + get + "\r\n", 400}, refusal{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400})
}

func TestD02HeaderSize(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("A: b\r\n", n) }
	large := func(n int) string {
		return get + "A: " + strings.Repeat("b", n-len(get)-len("A: \r\n\r\n")) + "\r\n\r\n"
	}
	refused(t,
		refusal{"lines", get + lines(maxHeaderLines) + "\r\n", 431},
		refusal{"very many lines", get + lines(5000) + "\r\n", 431},
		refusal{"bytes", large(testConfig.MaxHeaderBytes + 1), 431},
		refusal{"lines that are cut out", get + strings.Repeat("Trailer: "+strings.Repeat("a", 1000)+"\r\n", 40) + "\r\n", 431},
		refusal{"endless line", get + "A: " + strings.Repeat("b", 100<<10), 431},
	)
	for _, raw := range []string{get + lines(maxHeaderLines-1) + "\r\n", large(testConfig.MaxHeaderBytes)} {
		if got, f := understood(t, testConfig, []byte(raw)); len(got) != 1 || f != nil {
			t.Errorf("a header at its bound: understood %d, fault %+v", len(got), f)
		}
	}
}

func TestD09QueryBomb(t *testing.T) {
	target := func(path, query int) string {
		return "GET /" + strings.Repeat("p", path-1) + "?" + strings.Repeat("q", query) + " HTTP/1.1\r\nHost: h\r\n\r\n"
	}
	refused(t,
		refusal{"query", target(1, maxQueryBytes+1), 414},
		refusal{"target", target(maxTargetBytes-1, 1), 414},
		refusal{"endless", "GET /" + strings.Repeat("p", 100<<10), 414},
	)
	for _, raw := range []string{target(1, maxQueryBytes), target(maxTargetBytes-maxQueryBytes-1, maxQueryBytes)} {
		if got, f := understood(t, testConfig, []byte(raw)); len(got) != 1 || f != nil {
			t.Errorf("a target at its bound: understood %d, fault %+v", len(got), f)
		}
	}
}

// What cannot be a request is answered at once and not when its time is up.
func TestFirstByte(t *testing.T) {
	var h recorder
	addr := serve(t, testConfig, &h)
	for _, raw := range []string{"\x16", "\x00", "\n", "\r\n\x16"} {
		c := dial(t, addr)
		c.send(raw)
		if resp, _ := c.answer("GET"); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: answer %s, want 400", raw, resp.Status)
		}
	}
}

// What ends before its head is complete is answered too, since the client may
// have closed its half only.
func TestEndWithinHead(t *testing.T) {
	if _, f := understood(t, testConfig, []byte(get)); f == nil || f.Status != http.StatusBadRequest {
		t.Errorf("fault %+v, want 400", f)
	}
	for _, raw := range []string{"", "\r\n"} {
		if got, f := understood(t, testConfig, []byte(raw)); len(got) != 0 || f != nil {
			t.Errorf("%q: understood %v, fault %+v; want nothing", raw, got, f)
		}
	}
}
