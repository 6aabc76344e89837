package transport

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// what becomes of an answer
const (
	good   = iota // it comes whole
	broken        // its body does not come whole
	failed        // it does not come
)

// answers are what servers send, and what is to become of it.
var answers = []struct {
	name   string
	method string // GET if empty
	bytes  string // after which the server waits for the next request, or closes
	close  bool
	result int
	status int
	body   string
	reused bool // the connection carries a second exchange
}{
	{"length", "", ok, false, good, 200, "ok", true},
	{"empty", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, good, 200, "", true},
	{"length twice", "", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", false, good, 200, "ok", true},
	{"chunked", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, good, 200, "ok", true},
	{"chunked, empty", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, good, 200, "", true},
	{"chunk extension", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n", false, good, 200, "ok", true},
	{"chunked and length", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, good, 200, "ok", true},
	{"long", "", "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000), false, good, 200, strings.Repeat("x", 300000), true},
	{"until the end", "", "HTTP/1.1 200 OK\r\n\r\nok", true, good, 200, "ok", false},
	{"close", "", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false, good, 200, "ok", false},
	{"close among others", "", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", false, good, 200, "ok", false},
	{"HTTP/1.0", "", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, good, 200, "ok", false},
	{"HTTP/1.0 until the end", "", "HTTP/1.0 200 OK\r\n\r\nok", true, good, 200, "ok", false},
	{"HTTP/1.0 kept", "", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", false, good, 200, "ok", true},
	{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", false, good, 200, "", true},
	{"HEAD chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, good, 200, "", true},
	{"HEAD without length", "HEAD", "HTTP/1.1 200 OK\r\n\r\n", false, good, 200, "", true},
	{"204", "", "HTTP/1.1 204 No Content\r\n\r\n", false, good, 204, "", true},
	{"204 with length", "", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, good, 204, "", true},
	{"304", "", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nEtag: \"x\"\r\n\r\n", false, good, 304, "", true},
	{"304 chunked", "", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, good, 304, "", true},
	{"100 before", "", "HTTP/1.1 100 Continue\r\n\r\n" + ok, false, good, 200, "ok", true},
	{"hints before", "", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 5) + ok, false, good, 200, "ok", true},
	{"500", "", "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", false, good, 500, "no", true},
	{"no reason phrase", "", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", false, good, 200, "ok", true},
	{"bare line feeds", "", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false, good, 200, "ok", true},

	{"space before a colon", "", "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nok", true, good, 200, "ok", false},

	{"half a body", "", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok", true, broken, 200, "ok", false},
	{"no body", "", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", true, broken, 200, "", false},
	{"half a chunk", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nok", true, broken, 200, "ok", false},
	{"no last chunk", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true, broken, 200, "ok", false},
	{"half a last chunk", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", true, broken, 200, "ok", false},
	{"half a trailer", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n", true, broken, 200, "ok", false},
	{"bad trailer", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nXT 1\r\n\r\n", false, broken, 200, "ok", false},
	{"bad chunk size", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n", false, broken, 200, "ok", false},
	{"chunk too long", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n", false, broken, 200, "ok", false},

	{"nothing", "", "", true, failed, 0, "", false},
	{"half a status line", "", "HTTP/1.1 2", true, failed, 0, "", false},
	{"half a header", "", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", true, failed, 0, "", false},
	{"hints only", "", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", true, failed, 0, "", false},
	{"another protocol", "", "SSH-2.0-OpenSSH\r\n\r\n", false, failed, 0, "", false},
	{"bad version", "", "HTTP/1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, failed, 0, "", false},
	{"bad status", "", "HTTP/1.1 2xx OK\r\nContent-Length: 2\r\n\r\nok", false, failed, 0, "", false},
	{"short status", "", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok", false, failed, 0, "", false},
	{"negative status", "", "HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\nok", false, failed, 0, "", false},
	{"bad header", "", "HTTP/1.1 200 OK\r\nSet-Cookie secret\r\n\r\n", false, failed, 0, "", false},
	{"control character", "", "HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", false, failed, 0, "", false},
	{"bad length", "", "HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok", false, failed, 0, "", false},
	{"negative length", "", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", false, failed, 0, "", false},
	{"signed length", "", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", false, failed, 0, "", false},
	{"two lengths", "", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", false, failed, 0, "", false},
	{"unknown coding", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false, failed, 0, "", false},
	{"coding twice", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, failed, 0, "", false},
	{"huge header", "", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", headerLimit) + "\r\n\r\n", false, failed, 0, "", false},
	{"many headers", "", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", headerLimit/6) + "\r\n", false, failed, 0, "", false},
	{"endless status line", "", "HTTP/1.1 200 " + strings.Repeat("x", headerLimit), false, failed, 0, "", false},
	{"many hints, one limit", "", strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 1000)+"\r\n\r\n", 70) + ok, false, failed, 0, "", false},
}

func TestAnswers(t *testing.T) {
	for _, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
				s := serve(t, func(s *session) {
					for s.request() != nil {
						s.say(a.bytes)
						if a.close {
							return
						}
					}
				})
				for i := range 2 {
					res, body, err := fetch(rt, s.request(max(a.method, "GET")))
					switch {
					case a.result == failed:
						if err == nil || res != nil {
							t.Fatalf("%v with %q, %v; want an error alone", res, body, err)
						}
					case res == nil:
						t.Fatal(err)
					case res.StatusCode != a.status || body != a.body || (err != nil) != (a.result == broken):
						t.Fatalf("%d %.100q, %v", res.StatusCode, body, err)
					}
					if a.name == "huge header" && !strings.Contains(err.Error(), strconv.Itoa(headerLimit)) {
						t.Errorf("an error that does not say why: %v", err)
					}
					if conns := s.accepted.Load(); i == 1 && (conns == 1) != a.reused {
						t.Errorf("%d connections", conns)
					}
				}
			})
		})
	}
}

// What we read by ourselves is what the codec reads; and the usual we do read.
func TestOrdinary(t *testing.T) {
	for _, c := range []struct {
		head     string // without the empty line
		ordinary bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", true},
		{"HTTP/1.1 404 Not  Found \r\ncontent-length:\t2 \r\nConnection: Keep-Alive\r\n", true},
		{"HTTP/1.1 999 x\r\nContent-Length: 0002\r\n", true},
		{"HTTP/1.1 200 \xff\r\nX: \xff\x80\r\nContent-Length: 2\r\n", true},
		{"HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nA: 3\r\na: 4\r\nContent-Length: 2\r\nB: 5\r\nC: 6\r\n", true},
		{"HTTP/1.1 200 OK\r\nx-odd!#$%&'*+-.^_`|~: a: b\r\nX-Empty:\r\nContent-Length: 2\r\n", true},
		{"HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 2\r\n", true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: -0\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length:\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n", true},
		{"HTTP/1.1 200 OK\r\nServer: x\r\n", false},
		{"HTTP/1.1 200 OK\r\n", false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nTransfer-encoding: x\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nPragma: no-cache\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nX Y: a\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nContent-Length : 2\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nX\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 3\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\r\nX: a\x00\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 OK\nContent-Length: 3\n\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200 a\nX: y\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 200-OK\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 +20 OK\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 199 Odd\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 204 No\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.1 304 No\r\nContent-Length: 2\r\n", false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n", false},
		{"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n", false},
		{"http/1.1 200 OK\r\nContent-Length: 2\r\n", false},
	} {
		res := ordinary(c.head)
		if (res != nil) != c.ordinary {
			t.Errorf("%q: %v", c.head, res)
		}
		if res == nil {
			continue
		}
		want, err := http.ReadResponse(bufio.NewReader(strings.NewReader(c.head+"\r\n")), nil)
		if err != nil {
			t.Fatalf("%q: %v", c.head, err)
		}
		if res.Body = want.Body; !reflect.DeepEqual(res, want) {
			t.Errorf("%q\n%+v\n%+v", c.head, res, want)
		}
	}
}

func TestAnswersHeader(t *testing.T) {
	both(t, config{}, func(t *testing.T, rt roundTripper) {
		s := answering(t, "HTTP/1.1 200 Fine\r\nx-a: 1\r\nX-A:  2 \r\nContent-Length: 2\r\n\r\nok")
		r := s.request("GET")
		res, _, err := fetch(rt, r)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%s %v %d", res.Status, res.Header, res.ContentLength); got != "200 Fine map[Content-Length:[2] X-A:[1 2]] 2" {
			t.Error(got)
		}
		if res.Request != r {
			t.Error("the answer is to another request")
		}
	})
}

func TestTrailers(t *testing.T) {
	both(t, config{}, func(t *testing.T, rt roundTripper) {
		s := answering(t, "HTTP/1.1 200 OK\r\nTrailer: X-Told\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Told: 1\r\nX-More: 2\r\n\r\n")
		for range 2 {
			res, err := rt.RoundTrip(s.request("GET"))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(res.Trailer); got != "map[X-Told:[]]" {
				t.Errorf("before the body: %s", got)
			}
			b := make([]byte, 10)
			for err == nil {
				_, err = res.Body.Read(b)
			}
			res.Body.Close()
			if got := fmt.Sprint(res.Trailer); got != "map[X-More:[2] X-Told:[1]]" {
				t.Errorf("after it: %s", got)
			}
		}
		if n := s.accepted.Load(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestInformational(t *testing.T) {
	big := "HTTP/1.1 103 Early Hints\r\nX: " + strings.Repeat("x", headerLimit/2) + "\r\n\r\n"
	s := answering(t, "HTTP/1.1 100 Continue\r\n\r\n"+big+big+big+"HTTP/1.1 199 Odd\r\nA: b\r\n\r\n"+ok)
	both(t, config{}, func(t *testing.T, rt roundTripper) {
		var got []int
		_, body, err := fetch(rt, traced(s.request("GET"), func(status int, h textproto.MIMEHeader) error {
			if status == 103 && len(h["X"][0]) != headerLimit/2 || status == 199 && h.Get("A") != "b" {
				t.Errorf("%d %.100v", status, h)
			}
			got = append(got, status)
			return nil
		}))
		if err != nil || body != "ok" || fmt.Sprint(got) != "[100 103 103 103 199]" {
			t.Errorf("%v %q %v", got, body, err)
		}
		wrong := fmt.Errorf("no such thing")
		if _, _, err := fetch(rt, traced(s.request("GET"), func(int, textproto.MIMEHeader) error { return wrong })); err == nil || !strings.Contains(err.Error(), wrong.Error()) {
			t.Errorf("the trace's error: %v", err)
		}
	})
}

// Ours asks for no upgrade, so a switch is an error there and then.
func TestUnaskedSwitch(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 000 Nothing\r\n\r\n", "HTTP/1.1 099 Nothing\r\nContent-Length: 0\r\n\r\n",
	} {
		s := answering(t, answer+ok)
		if res, _, err := fetch(closing(t, ours(t, config{})), s.request("GET")); err == nil {
			t.Errorf("%q: %d", answer, res.StatusCode)
		}
		within(t, "the connection's end", s.ended)
	}
}

// What comes behind an answer is nobody's.
func TestExtraBytes(t *testing.T) {
	for _, extra := range []string{"x", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"} {
		s := answering(t, ok+extra)
		rt := closing(t, ours(t, config{}))
		for i := range 3 {
			_, body, err := fetch(rt, s.request("GET"))
			if n := s.accepted.Load(); body != "ok" || err != nil || int(n) != i+1 {
				t.Errorf("%q: %q, %v; %d connections for %d requests", extra, body, err, n, i+1)
			}
		}
	}
}

// Where the network fails within a line it is the network that is at fault, not
// the line.
func TestReset(t *testing.T) {
	s := serve(t, func(s *session) {
		s.request()
		s.say("HTTP/1.1 200 OK\r\nContent-Len")
		_ = s.SetLinger(0)
	})
	if _, _, err := fetch(closing(t, ours(t, config{})), s.request("GET")); !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

func TestReadAfterClose(t *testing.T) {
	both(t, config{}, func(t *testing.T, rt roundTripper) {
		s := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 100000))
		res, err := rt.RoundTrip(s.request("GET"))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		if n, err := res.Body.Read(b); n == 0 || err != nil {
			t.Error(n, err)
		}
		for range 2 {
			if err := res.Body.Close(); err != nil {
				t.Error(err)
			}
		}
		if n, err := res.Body.Read(b); n != 0 || err == nil {
			t.Error(n, err)
		}
		within(t, "the connection's end", s.ended) // what was left is not read
		if _, body, err := fetch(rt, s.request("GET")); len(body) != 100000 || err != nil {
			t.Error(len(body), err)
		}
	})
}

var _ http.RoundTripper = (*Transport)(nil)
