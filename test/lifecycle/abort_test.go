package lifecycle

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/test/rig"
)

var aborts = flag.Int("lifecycle.aborts", 5_000, "requests that clients break off")

// abortions are moments in which a client goes away: what it sends, and
// whether it waits for the answer to begin.
var abortions = []struct {
	sends string
	waits bool
}{
	{"", false},
	{"GET /slow HT", false},
	{"GET /slow HTTP/1.1\r\nHost: h\r\n", false},
	{"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n", false},
	{"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n", true},
	{"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", false},
	{"POST /slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhal", false},
	{"POST /endless HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", true},
	{"POST /slow HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n", false},
	{"GET /quick HTTP/1.1\r\nHost: h\r\n\r\nGET /endless HTTP/1.1\r\nHost: h\r\n\r\nGET /quick HTT", true},
	{"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", true},
}

// abortionUpstream answers slowly, without end, at once, or by a WebSocket.
func abortionUpstream(t *testing.T) *rig.Upstream {
	up := rig.StartUpstream(t)
	up.Handle(t, func(w http.ResponseWriter, r *http.Request) {
		up.Take()
		switch r.URL.Path {
		case "/slow":
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
			case <-time.After(50 * time.Millisecond):
			}
		case "/endless":
			_ = http.NewResponseController(w).EnableFullDuplex() // it answers before it has read
			for piece := make([]byte, 32<<10); ; {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		case "/ws":
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
			w.WriteHeader(http.StatusSwitchingProtocols)
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}
		}
	})
	return up
}

// After any number of clients that went away in any moment the gateway has as
// many goroutines and open files as before, and serves.
func TestD07AbortedRequestsLeaveNothing(t *testing.T) {
	up := abortionUpstream(t)
	g := rig.Start(t, rig.Config{YAML: configured("", up.URL, ", {name: ws, match: /ws, websocket: true}")})
	settled := func() (goroutines, files int) {
		return metric(t, g, "go_goroutines"), metric(t, g, "process_open_fds")
	}
	round := func(n int) {
		var next atomic.Int64
		var clients sync.WaitGroup
		for range 16 {
			clients.Go(func() {
				for i := int(next.Add(1)); i <= n && !t.Failed(); i = int(next.Add(1)) {
					abort(t, g.Addr, i)
				}
			})
		}
		clients.Wait()
	}
	round(500) // the connections to the upstream that are kept are part of what is normal
	goroutines, files := 0, 0
	rig.Eventually(t, "quiet", func() bool {
		before := goroutines
		goroutines, files = settled()
		time.Sleep(100 * time.Millisecond)
		return goroutines == before
	})
	round(*aborts)
	var g2, f2 int
	rig.Eventually(t, fmt.Sprintf("back at %d goroutines and %d files", goroutines, files), func() bool {
		g2, f2 = settled()
		return g2 <= goroutines+2 && f2 <= files+2
	})
	t.Logf("%d aborted requests: %d goroutines before and %d after, %d and %d open files", *aborts, goroutines, g2, files, f2)
	if a := g.Send(t, rig.Get("/quick")); a.Status != 200 {
		t.Errorf("after them a request is answered %d", a.Status)
	}
}

func abort(t *testing.T, addr string, number int) {
	r := rand.New(rand.NewPCG(uint64(number), 3))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	a := abortions[number%len(abortions)]
	_, _ = io.WriteString(c, a.sends)
	if a.waits {
		_ = c.SetReadDeadline(time.Now().Add(rig.Patience))
		if _, err := io.ReadFull(c, make([]byte, 1+r.IntN(100))); err != nil {
			t.Errorf("no answer to %q: %v", a.sends, err)
		}
	} else if r.IntN(2) == 0 {
		time.Sleep(time.Duration(r.IntN(5)) * time.Millisecond)
	}
	if r.IntN(2) == 0 {
		_ = c.(*net.TCPConn).SetLinger(0) // by a reset
	}
}
