package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// FuzzAnswer gives a transport any bytes for an answer. What it makes of them
// is what net/http's codec makes of them, and it keeps a connection only when
// all that came on it was the answer.
func FuzzAnswer(f *testing.F) {
	for _, a := range answers {
		if len(a.bytes) < 5000 {
			f.Add(a.method == "HEAD", []byte(a.bytes))
		}
	}
	f.Add(false, []byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
	f.Add(false, []byte("HTTP/1.1 200 OK\r\nTrailer: A, B\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: 1\r\n\r\nHTTP/1.1 200"))
	f.Fuzz(func(t *testing.T, head bool, answer []byte) {
		rt := ours(t, config{dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
					_, _ = server.Write(answer)
				}
				server.Close()
			}()
			return client, nil
		}})
		defer rt.CloseIdleConnections()
		r := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h"}, Header: http.Header{}}
		if head {
			r.Method = "HEAD"
		}
		want, wantBody, rest, failed := reference(r, answer)
		res, body, err := fetch(rt, r)
		if (err != nil) != failed || res == nil && want != nil || len(answer) < headerLimit && res != nil && want == nil {
			t.Fatalf("%v %q %v, want failed %t", res, body, err, failed)
		}
		if res != nil && (res.StatusCode != want.StatusCode || !reflect.DeepEqual(res.Header, want.Header) ||
			!reflect.DeepEqual(res.Trailer, want.Trailer) || body != wantBody || res.ContentLength != want.ContentLength) {
			t.Fatalf("\n%v %q\n%v %q", res, body, want, wantBody)
		}
		if kept := rt.kept(); kept > 0 && (failed || res.Close || len(answer) <= 4096 && rest > 0) {
			t.Fatalf("kept with %d bytes behind the answer, failed %t", rest, failed)
		}
	})
}

// reference reads an answer with the codec alone. It returns nil when there is
// none, and how many bytes are behind it.
func reference(r *http.Request, answer []byte) (res *http.Response, body string, rest int, failed bool) {
	in := bufio.NewReaderSize(strings.NewReader(string(answer)), 4096)
	for {
		res, err := http.ReadResponse(in, r)
		if err != nil || res.StatusCode < 100 || res.StatusCode == 101 {
			return nil, "", 0, true
		}
		if res.StatusCode < 200 {
			continue
		}
		b, err := io.ReadAll(res.Body)
		behind, _ := io.Copy(io.Discard, in)
		return res, string(b), int(behind), err != nil
	}
}

// FuzzHead makes requests of any parts. What goes out is one request, the one
// that net/http's codec would write.
func FuzzHead(f *testing.F) {
	f.Add("GET", "http://h/a?b", "h:80", "X-A", "b")
	f.Add("POST", "http://h", "[::1]", "Content-Length", "7")
	f.Add("PUT", "http://h/%0d%0aX: y", "a\r\nb", "User-Agent", " \t a")
	f.Add("GET", "http://h", "", "User-Agent", " ")
	f.Fuzz(func(t *testing.T, method, target, host, name, value string) {
		u, err := url.Parse(target)
		if err != nil {
			return
		}
		r := &http.Request{Method: method, URL: u, Host: host, Header: http.Header{name: {value}, "Accept": {"x"}}}
		asCodec(t, r)
	})
}
