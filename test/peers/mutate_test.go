package peers

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

const (
	post   = "POST /p HTTP/1.1\r\nHost: gw.example\r\n"
	hidden = "GET /hidden HTTP/1.1\r\nHost: gw.example\r\n\r\n"
)

// plain are streams that nobody refuses.
var plain = []string{
	hidden + hidden, hidden + post + "Content-Length: 4\r\n\r\nbody" + hidden, post + "Content-Length: 48\r\nX-A: b\r\n\r\n" + hidden,
	post + "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n" + hidden, post + "Content-Length: 0\r\n\r\n" + hidden,
	"GET /g HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 44\r\n\r\n" + hidden + hidden,
	"PUT /a%20b/c;d=e?f=%zz&g HTTP/1.1\r\nHost: gw.example:8080\r\nAccept: */*\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden,
	"POST /e HTTP/1.1\r\nHost: gw.example\r\nTransfer-Encoding: chunked\r\n\r\n2c\r\n" + hidden + "\r\n0\r\n\r\n" + hidden,
}

// seeds are streams that proxies are known to have read differently. hidden is a request where it is one, and else part of a body.
var seeds = func() []string {
	all := []string{
		"GET http://gw.example/abs?q=1 HTTP/1.1\r\nHost: gw.example\r\n\r\n", "GET http://other.example/abs HTTP/1.1\r\nHost: gw.example\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: gw.example\r\nHost: other.example\r\n\r\n" + hidden, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + hidden,
		"GET /%41%2f..;x/b%20c?d=%zz&e=%00 HTTP/1.1\r\nHost: gw.example\r\n\r\n" + hidden, "GET //a/./b/../c HTTP/1.1\r\nHost: gw.example\r\n\r\n" + hidden,
		"GET /a#b HTTP/1.1\r\nHost: gw.example\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: gw.example\r\n\r\n" + hidden, "\r\n\r\n" + hidden,
		"PUT /u HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 60\r\nExpect: 100-continue\r\n\r\n" + hidden + hidden,
		"DELETE /d HTTP/1.1\r\nHost: gw.example\r\nX-A: b\r\n c\r\n\td\r\nX-E: f\r\n\r\n" + hidden, "GET /a HTTP/1.1\r\nHost:gw.example:80\r\nX_Under: 1\r\nX.Dot: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: gw.example\r\nConnection: close, X-A, Content-Length\r\nContent-Length: 3\r\nX-A: 1\r\n\r\nabc" + hidden,
		"GET /g HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 48\r\n\r\n" + hidden + hidden, "GET /up HTTP/1.1\r\nHost: gw.example\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" + hidden,
	}
	for _, framing := range []string{
		"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\nbody", "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n\r\nabc", "Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\nbody",
		"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"Transfer_Encoding: chunked\r\nContent-Length: 4\r\n\r\nbody", "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nbody",
		"Content-Length: +4\r\n\r\nbody", "Content-Length: 4\r\nContent-Length: 0\r\n\r\nbody", "Content-Length: 4, 4\r\n\r\nbody",
		"Content_Length: 4\r\n\r\n", "Content-Length: 0x4\r\n\r\nbody", "Content-Length: 00000000000000000004\r\n\r\nbody",
		"Transfer-Encoding: chunked\r\n\r\n4;a=\"b\r\nc\"\r\nbody\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1;\nx\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n2\r\nx\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n", "Transfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n100000000000000003\r\nabc\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\nTrailer: X-User-Id\r\n\r\n0\r\nX-User-Id: root\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 44\r\n\r\n",
		"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"Connection: Content-Length\r\nContent-Length: 44\r\n\r\n", "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		all = append(all, post+framing+hidden)
	}
	return append(all, plain...)
}()

// pieces are what is put into a stream: bytes that readers have split over, and
// lines that say where a request ends or whom it is for.
var pieces = []string{
	"\r", "\n", "\r\n", "\n\n", "\r\r\n", "\t", " ", "  ", "\x00", "\x0b", "\x0c", "\x7f", "\x85", "\xa0", "\xff", ":", ";", ",", "%", "%00", "%0d%0a", "%2e%2e/", "..;/", "/", "//", "\\",
	"#", "?", "@", "\"", "_", ".", "-", "+", "0", "0x", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "\r\n ", "\r\n\t", "0\r\n\r\n", "5\r\n", hidden,
	"\r\nContent-Length: 0", "\r\nContent-Length: 5", "\r\ncontent-length:44", "\r\nContent-Length:", "\r\nContent-Length : 5", "\r\nTransfer-Encoding: chunked", "\r\ntransfer-encoding:chunked",
	"\r\nTransfer-Encoding: Chunked", "\r\nTransfer-Encoding: chunked;q=1", "\r\nTransfer-Encoding: , chunked", "\r\nTransfer-Encoding:", "\r\nTE: trailers", "\r\nHost: other.example",
	"\r\nHost:", "\r\nConnection: keep-alive", "\r\nConnection: close", "\r\nExpect: 100-continue", "\r\nTrailer: Content-Length", "\r\nX-Forwarded-For: 1.2.3.4", "\r\n: empty", "\r\nno colon",
}

// mutations change a stream somewhere.
var mutations = []func(*rand.Rand, []byte) []byte{
	func(r *rand.Rand, b []byte) []byte { return put(b, place(r, b), 0, pieces[r.IntN(len(pieces))]) },
	func(r *rand.Rand, b []byte) []byte { return put(b, place(r, b), 1, pieces[r.IntN(len(pieces))]) },
	func(r *rand.Rand, b []byte) []byte { return put(b, place(r, b), 1+r.IntN(4), "") },
	func(r *rand.Rand, b []byte) []byte { return put(b, place(r, b), 1, string(rune(r.IntN(128)))) },
	func(r *rand.Rand, b []byte) []byte { // flip a bit: another case, another digit
		if i := place(r, b); i < len(b) {
			b[i] ^= 1 << r.IntN(8)
		}
		return b
	},
	func(r *rand.Rand, b []byte) []byte { // a line twice, or gone
		lines := bytes.SplitAfter(b, []byte("\n"))
		i := r.IntN(len(lines))
		lines[i] = bytes.Repeat(lines[i], 2*r.IntN(2))
		return bytes.Join(lines, nil)
	},
	func(r *rand.Rand, b []byte) []byte { // two lines change places
		lines := bytes.SplitAfter(b, []byte("\n"))
		i, j := r.IntN(len(lines)), r.IntN(len(lines))
		lines[i], lines[j] = lines[j], lines[i]
		return bytes.Join(lines, nil)
	},
	func(r *rand.Rand, b []byte) []byte { // a line ends as few expect
		ends := bytes.Count(b, []byte("\r\n"))
		return replaceNth(b, r.IntN(ends+1), "\r\n", []string{"\n", "\r", "\n\r", "\r\r\n", " \r\n", "\x00\r\n"}[r.IntN(6)])
	},
	func(r *rand.Rand, b []byte) []byte { // the end of another stream
		other := seeds[r.IntN(len(seeds))]
		return append(b[:place(r, b)], other[r.IntN(len(other)):]...)
	},
}

// place is mostly near a colon, a digit or the end of a line, where framing is
// decided.
func place(r *rand.Rand, b []byte) int {
	i := r.IntN(len(b) + 1)
	if r.IntN(3) > 0 {
		if n := bytes.IndexAny(b[i:], ":\r\n0123456789;"); n >= 0 {
			return i + n
		}
	}
	return i
}

func put(b []byte, at, gone int, piece string) []byte {
	return append(append(bytes.Clone(b[:at]), piece...), b[min(len(b), at+gone):]...)
}

func replaceNth(b []byte, n int, old, by string) []byte {
	parts := strings.SplitN(string(b), old, n+2)
	if len(parts) < n+2 {
		return b
	}
	return []byte(strings.Join(parts[:n+1], old) + by + parts[n+1])
}

// stream is the one of that number, the same in each run: first the seeds as
// they are, then mutated ones. What follows it is a plain request.
func stream(number int) string {
	b := []byte(seeds[number%len(seeds)])
	if number >= len(seeds) {
		r := rand.New(rand.NewPCG(uint64(number), 1))
		if r.IntN(2) > 0 {
			b = []byte(plain[number%len(plain)])
		}
		for range 1 + r.IntN(2) {
			b = mutations[r.IntN(len(mutations))](r, b)
		}
	}
	return string(b) + fmt.Sprintf("GET /last/%d HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n", number)
}
