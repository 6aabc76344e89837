package faults

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fault is what a proxy does to what passes through it. The zero fault is
// none.
type fault struct {
	refuse    bool          // reset every connection, and each new one
	blackhole bool          // pass nothing on, in either direction
	mute      bool          // pass what is asked on, and no reply
	cut       int           // reset a connection after so many bytes of replies; 0: never
	delay     time.Duration // before each piece that is passed on
}

// proxy stands between one gateway and its Redis.
type proxy struct {
	Addr   string
	ln     net.Listener
	target atomic.Pointer[string]
	fault  atomic.Pointer[fault]
	mu     sync.Mutex
	conns  map[*net.TCPConn]bool
}

func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Addr: ln.Addr().String(), ln: ln, conns: map[*net.TCPConn]bool{}}
	p.target.Store(&target)
	p.fault.Store(&fault{})
	go p.accept()
	t.Cleanup(func() {
		_ = ln.Close()
		p.reset()
	})
	return p
}

// set changes the fault, for the connections there are as well.
func (p *proxy) set(f fault) {
	p.fault.Store(&f)
	if f.refuse {
		p.reset()
	}
}

// turn sends new connections somewhere else, and ends those there are.
func (p *proxy) turn(target string) {
	p.target.Store(&target)
	p.reset()
}

func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.SetLinger(0) // RST instead of FIN
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *proxy) hold(c net.Conn) *net.TCPConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c.(*net.TCPConn)] = true
	return c.(*net.TCPConn)
}

func (p *proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		client := p.hold(c)
		if p.fault.Load().refuse {
			p.reset()
			continue
		}
		up, err := net.Dial("tcp", *p.target.Load())
		if err != nil {
			_ = client.SetLinger(0)
			_ = client.Close()
			continue
		}
		server := p.hold(up)
		go p.pass(client, server, false)
		go p.pass(server, client, true)
	}
}

func (p *proxy) pass(from, to *net.TCPConn, replies bool) {
	defer from.Close()
	defer to.Close()
	b := make([]byte, 64<<10)
	for passed := 0; ; {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		f := p.fault.Load()
		time.Sleep(f.delay)
		if f.blackhole || f.mute && replies {
			continue
		}
		if passed += n; replies && f.cut > 0 && passed > f.cut {
			_ = to.SetLinger(0)
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}
