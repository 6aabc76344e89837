package transport

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// moody answers each request with its own id, in many ways, good and bad; from
// the given mood on they are good.
func moody(t *testing.T, from int) *server {
	return serve(t, func(s *session) {
		for r := s.head(); r != nil; r = s.head() {
			id := r.Header.Get("X-Id")
			mood := from + rand.IntN(14-from)
			if mood == 0 { // before the body
				s.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n%[1]s", id, len(id)))
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			time.Sleep(time.Duration(rand.IntN(2)) * time.Millisecond)
			head := "HTTP/1.1 200 OK\r\nX-Id: " + id + "\r\n"
			chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(id), id)
			switch mood {
			case 1:
				return
			case 2:
				s.say(head)
				return
			case 3:
				s.say(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(id), id[:len(id)/2]))
				return
			case 4:
				s.say(head + chunked[:len(chunked)-4])
				return
			case 5: // another answer behind it
				s.say(head + chunked + "HTTP/1.1 200 OK\r\nX-Id: nobody's\r\nContent-Length: 2\r\n\r\nno")
			case 6:
				s.say("HTTP/1.1 103 Early Hints\r\nX-Id: " + id + "\r\n\r\n" + head + chunked)
			case 7:
				s.say(head + "Connection: close\r\n" + chunked)
				return
			case 8, 9, 10:
				s.say(head + chunked)
			default:
				s.say(fmt.Sprintf("%sContent-Length: %d\r\n\r\n", head, len(id)))
				time.Sleep(time.Duration(rand.IntN(2)) * time.Millisecond)
				s.say(id)
			}
		}
	})
}

// crowd sends so many requests, of which those that come to a good end have to
// be their own answer.
func crowd(t *testing.T, rt http.RoundTripper, s *server, n int, life func() time.Duration) (whole int64) {
	t.Helper()
	var good, next atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				id := fmt.Sprintf("%d-%s", i, strings.Repeat("x", rand.IntN(6000)))
				r := s.request("GET")
				if i%3 == 0 {
					r = s.upload("POST", &slow{"some", time.Duration(rand.IntN(2)) * time.Millisecond}, -1+5*(i%2))
				}
				r.Header["X-Id"] = []string{id}
				ctx, cancel := context.WithTimeout(r.Context(), life())
				res, body, err := fetch(rt, r.WithContext(ctx))
				cancel()
				if err != nil {
					continue
				}
				if good.Add(1); body != id || res.Header.Get("X-Id") != id {
					t.Errorf("%.20s got %.20s with %.20s", id, body, res.Header["X-Id"])
				}
			}
		})
	}
	all.Wait()
	return good.Load()
}

// No request ever gets another's answer, whatever servers and clients do.
func TestNobodyElsesAnswer(t *testing.T) {
	s := moody(t, 0)
	rt := closing(t, ours(t, config{timeout: patience}))
	whole := crowd(t, rt, s, 5_000, func() time.Duration {
		if rand.IntN(4) > 0 {
			return patience
		}
		return time.Duration(rand.IntN(3000)) * time.Microsecond
	})
	if whole < 1_000 {
		t.Errorf("only %d of 5,000 came to a good end", whole)
	}
}

// Clients that go away leave nothing behind.
func TestAbortedClients(t *testing.T) {
	before := runtime.NumGoroutine()
	both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
		s := moody(t, 6)
		crowd(t, rt, s, 10_000, func() time.Duration { return time.Duration(rand.IntN(1500)) * time.Microsecond })
		if n := crowd(t, rt, s, 100, func() time.Duration { return patience }); n != 100 {
			t.Errorf("afterwards %d of 100 come to a good end", n)
		}
		rt.CloseIdleConnections()
		for range s.accepted.Load() {
			within(t, "the end of each connection", s.ended)
		}
	})
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before+5; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, of %d before", runtime.NumGoroutine(), before)
		}
	}
}
