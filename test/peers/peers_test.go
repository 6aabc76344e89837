package peers

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	cases = flag.Int("peers.cases", 4000, "streams that go each way")
	only  = flag.Int("peers.only", -1, "the one stream to send, by its number; -1: all")
)

// patience is how long a client waits for the next answer. Streams whose end
// the reader does not see, which are many, take that long. Before an answer is
// called lost it is waited for much longer.
const (
	patience = 250 * time.Millisecond
	lost     = 20 * time.Second
)

// answer is what a client got.
type answer struct {
	status int
	own    bool      // gatehouse made it
	of     *received // the request that it answers; nil: it did not get to the backend
}

func (a answer) String() string {
	if a.of == nil {
		return fmt.Sprint(a.status)
	}
	return fmt.Sprintf("%d %s %s %q", a.status, a.of.method, a.of.target, a.of.body)
}

// send sends a stream one way. ended: the connection was closed, so that
// nothing more can come.
func (w *way) send(t *testing.T, stream string, patience time.Duration) (all []answer, ended bool) {
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, stream)
	r := bufio.NewReader(c)
	for {
		res, err := http.ReadResponse(r, nil)
		if err == nil && res.StatusCode >= 200 {
			_, err = io.Copy(io.Discard, res.Body)
		}
		if err != nil {
			network, _ := err.(net.Error)
			return all, network == nil || !network.Timeout()
		}
		if res.StatusCode >= 200 {
			all = append(all, answer{res.StatusCode, res.Header.Get("Content-Type") == "application/problem+json", w.backend.request(res.Header.Get("X-Number"))})
			_ = c.SetReadDeadline(time.Now().Add(patience))
		}
	}
}

// line is a request line in one spelling: peers pass escapes on as they are,
// and gatehouse decodes those that need none.
func line(method, target string) string {
	if i := strings.Index(target, "://"); i >= 0 && target[0] != '/' {
		_, path, _ := strings.Cut(target[i+3:], "/")
		target = "/" + path
	}
	path, query, asked := strings.Cut(target, "?")
	if path == "" { // http://host?query (RFC 9110 §4.2.3)
		path = "/"
	}
	if decoded, err := url.PathUnescape(path); err == nil {
		path = decoded
	}
	if asked {
		path += "?" + query
	}
	return method + " " + path
}

func (r *received) String() string { return fmt.Sprintf("%s %q", line(r.method, r.target), r.body) }

// The ways, in the order in which judge has them.
const (
	alone  = iota // the peer without gatehouse
	direct        // gatehouse without a peer
	front         // the peer in front of gatehouse
	behind        // the peer behind it
)

// judge compares what each way made of a stream.
func judge(t *testing.T, number int, ways [4]*way) {
	text := stream(number)
	var got [4][]answer
	var ended [4]bool
	for i, w := range ways {
		got[i], ended[i] = w.send(t, text, patience)
	}
	complain := func(format string, args ...any) {
		t.Errorf("stream %d: %s\n%q\nalone %v\ndirect %v\nfront %v\nbehind %v",
			number, fmt.Sprintf(format, args...), text, got[alone], got[direct], got[front], got[behind])
	}
	for i := range ways {
		for _, a := range got[i] {
			switch {
			case a.own && a.status >= 500 && a.status != 501 && a.status != 505:
				complain("gatehouse answers %d", a.status)
			case i == front && !a.own && a.status >= 500 && a.of == nil && a.status != 501 && a.status != 505:
				complain("the peer in front has lost gatehouse's answer")
			case i == behind && !a.own && a.of == nil:
				complain("the peer behind refuses what gatehouse forwards")
			}
		}
	}
	for _, pair := range [][2]int{{direct, alone}, {front, alone}, {behind, direct}} {
		a, b := got[pair[0]], got[pair[1]]
		for k := range min(len(a), len(b)) {
			if a[k].of != nil && b[k].of != nil && a[k].of.String() != b[k].of.String() {
				complain("request %d is %v by the one way and %v by the other", k, a[k].of, b[k].of)
			}
			if pair[0] != front && (a[k].of == nil || b[k].of == nil) {
				break // one refuses it, and the other may read on; in front, the peer has found the same requests in both
			}
		}
		reachedA, _ := reached(a)
		if reachedB, refused := reached(b); reachedA > reachedB && !refused && complete(b, number) {
			complain("%d requests reach the backend by the one way and %d by the other", reachedA, reachedB)
		}
		if pair[0] != direct && !ended[pair[0]] && len(a) < len(b) && complete(b, number) {
			if again, ended := ways[pair[0]].send(t, text, lost); !ended {
				complain("there is an answer less by the one way than by the other: %v", again)
			}
		}
	}
}

// complete reports whether the plain request at the stream's end was found, and
// was the last.
func complete(all []answer, number int) bool {
	if len(all) == 0 {
		return false
	}
	last := all[len(all)-1].of
	return last != nil && last.target == fmt.Sprintf("/last/%d", number)
}

// reached counts the requests that got to the backend, and reports whether any
// did not.
func reached(all []answer) (n int, refused bool) {
	for _, a := range all {
		if a.of != nil {
			n++
		}
	}
	return n, n < len(all)
}

// audit checks all that came to the backend: each request was stamped once by
// all that it went through, by none twice, and says what it was to them. One
// that was hidden in another has no stamp.
func (w *way) audit(t *testing.T) {
	b := w.backend
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.wrong {
		if w.writes {
			t.Errorf("gatehouse writes what is %s", text)
		}
	}
	seen := map[string]bool{}
	stamp := func(r *received, name string) string {
		values := r.values(name)
		if len(values) != 1 || values[0] == "" || seen[name+values[0]] {
			t.Errorf("%s is %q, and must be there once and new: %q", name, values, r.raw)
			return ""
		}
		seen[name+values[0]] = true
		return values[0]
	}
	for _, r := range b.all {
		if w.through {
			stamp(r, "X-Request-Id")
		}
		if !w.judged {
			continue
		}
		stamp(r, "X-Peer-Id")
		if said := r.values("X-Peer-Line"); len(said) == 1 {
			method, target, _ := strings.Cut(said[0], " ")
			if line(method, target) != line(r.method, r.target) {
				t.Errorf("the peer understood %q, the backend %q", said, r.raw)
			}
		}
	}
}

// A peer in front of gatehouse, behind it and beside it finds the same requests.
func TestS12Peers(t *testing.T) {
	for _, peer := range []string{"nginx", "haproxy"} {
		t.Run(peer, func(t *testing.T) {
			t.Parallel()
			ways := startWays(t, peer)
			if *only >= 0 {
				judge(t, *only, ways)
				return
			}
			var next atomic.Int64
			var clients sync.WaitGroup
			for range 32 {
				clients.Go(func() {
					for !t.Failed() {
						n := int(next.Add(1)) - 1
						if n >= *cases {
							return
						}
						judge(t, n, ways)
					}
				})
			}
			clients.Wait()
			forwarded := 0
			for _, w := range ways {
				w.audit(t)
				forwarded += len(w.backend.all)
			}
			t.Logf("%d streams, %d ways: %d requests got to the backends", *cases, len(ways), forwarded)
			if forwarded < *cases/2 {
				t.Errorf("of %d streams only %d requests got to the backends", *cases, forwarded)
			}
		})
	}
}
