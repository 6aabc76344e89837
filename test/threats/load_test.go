package threats

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// What floods an HTTP/2 connection ends that connection or is bounded, and
// others are served meanwhile.
func TestD03HTTP2Floods(t *testing.T) {
	t.Parallel()
	w := own(t, secured)
	block := hpack([]field{{":method", "GET"}, {":scheme", "https"}, {":authority", "gw.example"}, {":path", "/open/"}})
	for name, flood := range map[string]func(n uint32) []byte{
		"rapid reset": func(n uint32) []byte {
			return append(frame(1, 0x5, 2*n+1, block), frame(3, 0, 2*n+1, []byte{0, 0, 0, 8})...)
		},
		"streams":        func(n uint32) []byte { return frame(1, 0x4, 2*n+1, block) },
		"SETTINGS":       func(uint32) []byte { return frame(4, 0, 0, nil) },
		"PING":           func(uint32) []byte { return frame(6, 0, 0, make([]byte, 8)) },
		"unknown frames": func(uint32) []byte { return frame(99, 0, 0, make([]byte, 1000)) },
		"table resizing": func(n uint32) []byte {
			return frame(1, 0x5, 2*n+1, append([]byte(strings.Repeat("\x20\x3f\xe1\x1f", 100)), block...))
		},
		"CONTINUATION": func(n uint32) []byte {
			return frame([]byte{1, 9}[min(n, 1)], 0, 1, hpack([]field{{fmt.Sprintf("x-%d", n), strings.Repeat("v", 1000)}}))
		},
		"empty DATA": func(n uint32) []byte {
			return [][]byte{frame(1, 0x4, 1, block), frame(0, 0, 1, nil)}[min(n, 1)]
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.DialTLS(t, "h2")
			defer c.Close()
			go func() { _, _ = io.Copy(io.Discard, c.Conn) }()
			_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
			_, _ = c.Write(frame(4, 0, 0, nil))
			_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
			for n := range uint32(5000) {
				if _, err := c.Write(flood(n)); err != nil {
					break
				}
			}
			if got := ask(t, w, []field{{":method", "GET"}, {":scheme", "https"}, {":authority", "gw.example"}, {":path", "/open/"}}); got != "200" {
				t.Errorf("meanwhile another client gets %s", got)
			}
			if n := len(w.up.Take()); name == "streams" && n > 101 {
				t.Errorf("one connection had %d requests at once, want at most 100", n-1)
			}
		})
	}
	rig.Eventually(t, "left by all that the floods had begun", func() bool {
		_, after, _ := strings.Cut(w.AdminCall(t, "GET", "/metrics", "").Body, "\ngo_goroutines ")
		n, _, _ := strings.Cut(after, "\n")
		return len(n) < 3 // under a hundred
	})
}

// What stands in a request that we need not understand passes as it came.
func TestD12NothingIsParsedThatNeedNotBe(t *testing.T) {
	w := attack(t)
	form := "a=%zz&" + strings.Repeat("b;", 300) + "&=&=&%"
	multipart := "--x\r\nContent-Disposition: form-data; name=\"a\r\n\r\n" + strings.Repeat("--x\r\n", 50)
	for kind, body := range map[string]string{"application/x-www-form-urlencoded": form, "multipart/form-data; boundary=x": multipart, "multipart/form-data": multipart, "application/json": "{{{"} {
		cookies := strings.Repeat("a=b; ", 1000) + "=\"; ;;c"
		a := w.Send(t, rig.Request("POST", "/open/?"+form, body, "Content-Type: "+kind, "Cookie: "+cookies))
		got := w.up.Last(t)
		if a.Status != 200 || got.Body != body || got.URL.RawQuery != form || got.Header.Get("Cookie") != cookies {
			t.Errorf("%s: %d, the upstream got %q ? %q, %.50q", kind, a.Status, got.Body, got.URL.RawQuery, got.Header.Get("Cookie"))
		}
	}
}

// A request is sent again only when that can do no harm: by an idempotent
// method, without a body, and on a kept connection that turns out to be dead.
func TestD14NoRetries(t *testing.T) {
	w := attack(t)
	w.up.Handle(t, func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/dies") {
			panic(http.ErrAbortHandler)
		}
	})
	for _, method := range []string{"POST", "PUT", "DELETE", "GET"} {
		for _, body := range []string{"", "body"} {
			for range 2 { // on a new connection, and on a kept one
				w.Send(t, rig.Get("/open/"))
				w.up.Take()
				a := w.Send(t, rig.Request(method, "/open/dies", body))
				n := len(w.up.Take())
				most := 1
				if body == "" && method != "POST" {
					most = 2
				}
				if n < 1 || n > most {
					t.Errorf("%s with body %q reached the upstream %d times, want at most %d", method, body, n, most)
				}
				a.Refused(t, 502, "upstream_unavailable")
			}
		}
	}
}

// Compressed answers pass as they are, and none is asked for that the client
// did not ask for.
func TestD15NothingIsUnpacked(t *testing.T) {
	w := attack(t)
	packed := "\x1f\x8b\x08 not even gzip"
	w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(rw, packed)
	})
	for _, lines := range [][]string{nil, {"Accept-Encoding: gzip"}} {
		a := w.Send(t, rig.Get("/open/", lines...))
		if a.Status != 200 || a.Body != packed || a.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%d %q %v", a.Status, a.Body, a.Header)
		}
		if got := w.up.Last(t).Header.Values("Accept-Encoding"); len(got) != len(lines) {
			t.Errorf("the upstream was asked for %q", got)
		}
	}
}

// Connections to the upstream are kept for all who ask at once, or ports would
// run out.
func TestD16ConnectionsAreKept(t *testing.T) {
	w := attack(t)
	const many = 100
	wave := func() map[string]bool {
		var arrived, clients sync.WaitGroup
		arrived.Add(many)
		w.up.Handle(t, func(http.ResponseWriter, *http.Request) {
			arrived.Done()
			arrived.Wait() // all of them at once
		})
		for range many {
			clients.Go(func() { w.Send(t, rig.Get("/open/")) })
		}
		clients.Wait()
		used := map[string]bool{}
		for _, r := range w.up.Take() {
			used[r.RemoteAddr] = true
		}
		return used
	}
	first := wave()
	fresh := 0
	for addr := range wave() {
		if !first[addr] {
			fresh++
		}
	}
	if len(first) != many || fresh > 0 {
		t.Errorf("%d requests at once used %d connections, and as many again %d new ones", many, len(first), fresh)
	}
}
