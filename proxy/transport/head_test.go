package transport

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// asCodec holds what appendRequest writes to what net/http's codec writes: a
// server reads the same request out of both.
func asCodec(t *testing.T, r *http.Request) {
	t.Helper()
	ours, err := appendRequest([]byte("before "), r)
	ours, ok := bytes.CutPrefix(ours, []byte("before "))
	if !ok || err != nil && len(ours) > 0 {
		t.Errorf("%q was appended, and %v", ours, err)
	}
	if len(ours) == 0 {
		return
	}
	var theirs bytes.Buffer
	if err := r.Write(&theirs); err != nil {
		t.Fatalf("the codec refuses what came out as %q: %v", ours, err)
	}
	if !bytes.HasSuffix(ours, []byte("\r\n\r\n")) || bytes.Count(ours, []byte("\r\n\r\n")) != 1 || len(ours) != theirs.Len() {
		t.Fatalf("\n%q\n%q", ours, theirs.Bytes())
	}
	a, errA := http.ReadRequest(bufio.NewReader(bytes.NewReader(ours)))
	b, errB := http.ReadRequest(bufio.NewReader(&theirs))
	if (errA == nil) != (errB == nil) {
		t.Fatalf("%q: %v, %v", ours, errA, errB)
	}
	if errA == nil && (a.Method != b.Method || a.RequestURI != b.RequestURI || a.Host != b.Host || a.ContentLength != b.ContentLength || !reflect.DeepEqual(a.Header, b.Header)) {
		t.Fatalf("\n%+v\n%+v", a, b)
	}
}

func TestHead(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "CONNECT", ""} {
		for _, target := range []string{"http://h", "http://h/", "http://h/a/b?c=d&e", "http://h/?", "http://h:81/a%2fb%20c", "http://h/%C3%A9;x?\"<>", "http://h/a//b/../c"} {
			for _, host := range []string{"", "h", "a.b:80", "A_b-c.example:8080", "[::1]:80", "[fe80::1%25x]", "b%C3%BCcher.example", "b\u00fccher.example", "a b", "a/b", "a\r\nX: y"} {
				u, err := url.Parse(target)
				if err != nil {
					t.Fatal(err)
				}
				r := &http.Request{Method: method, URL: u, Host: host, Header: http.Header{
					"Accept": {"a", "b"}, "X-Empty": {""}, "X-None": {}, "X-Space": {"  a b\t"}, "Cookie": {"a=b; c=d"},
				}}
				if len(host)%2 == 0 {
					r.Header["User-Agent"] = []string{"agent"}
					for _, name := range []string{"Content-Length", "Transfer-Encoding", "Trailer", "Host"} {
						r.Header[name] = []string{"7"}
					}
				}
				asCodec(t, r)
			}
		}
	}
	for _, query := range []string{"a b", "a\tb", "a\r\nX: y", "a\x7f", "a\x00"} {
		odd := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h", RawQuery: query}, Header: http.Header{}}
		if b, err := appendRequest(nil, odd); err != nil || len(b) > 0 {
			t.Errorf("%q, %v", b, err)
		}
	}
	for _, change := range []func(r *http.Request){
		func(r *http.Request) { r.Close = true }, func(r *http.Request) { r.TransferEncoding = []string{"identity"} },
		func(r *http.Request) { r.ContentLength = 1 }, func(r *http.Request) { r.ContentLength = -1 },
		func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("")) },
	} {
		r := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h"}, Header: http.Header{}}
		if b, err := appendRequest(nil, r); err != nil || len(b) == 0 {
			t.Fatal("not taken")
		}
		change(r)
		if b, err := appendRequest(nil, r); err != nil || len(b) > 0 {
			t.Errorf("%q, %v", b, err)
		}
	}
}

// What is malformed is refused before anything is sent, and its body closed.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *http.Request)
	}{
		{"method", func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX:" }},
		{"header name", func(r *http.Request) { r.Header["X: y\r\nZ"] = []string{"1"} }},
		{"empty header name", func(r *http.Request) { r.Header[""] = []string{"1"} }},
		{"header value, line", func(r *http.Request) { r.Header["X"] = []string{"fine", "secret\r\nY: z"} }},
		{"header value, null", func(r *http.Request) { r.Header["X"] = []string{"secret\x00"} }},
		{"header value, delete", func(r *http.Request) { r.Header["X"] = []string{"secret\x7f"} }},
		{"trailer", func(r *http.Request) { r.Trailer = http.Header{"X": {"secret\n"}} }},
		{"no host", func(r *http.Request) { r.URL.Host = "" }},
		{"no URL", func(r *http.Request) { r.URL = nil }},
		{"no header", func(r *http.Request) { r.Header = nil }},
		{"no body", func(r *http.Request) { r.Body, r.ContentLength = nil, 5 }},
	} {
		both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
			s := answering(t, ok)
			body := &closes{Reader: strings.NewReader("x")}
			r := s.upload("POST", body, 1)
			r.Body = body
			c.change(r)
			if _, err := rt.RoundTrip(r); err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", c.name, err)
			}
			if n := s.requests.Load(); n != 0 || r.Body != nil && body.count() == 0 {
				t.Errorf("%s: %d requests, body closed %d times", c.name, n, body.count())
			}
		})
	}
}

func TestTakes(t *testing.T) {
	for target, want := range map[string]bool{
		"http://h/": true, "http://[::1]:80/": true, "https://h/": false, "ftp://h/": false, "http://b\u00fccher.example/": false, "HTTP://h": true, "//h": false,
	} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{URL: u, Header: http.Header{}}
		if Takes(r) != want {
			t.Errorf("%s: %t", target, !want)
		}
		if r.Header["Upgrade"] = []string{"websocket"}; Takes(r) {
			t.Errorf("%s: takes an upgrade", target)
		}
		rt := ours(t, config{dial: func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%s: carried what it does not take", target)
			return nil, io.EOF
		}})
		if _, err := rt.RoundTrip(r); err == nil {
			t.Errorf("%s: no error", target)
		}
	}
}
