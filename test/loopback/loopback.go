// Package loopback gives tests addresses for servers that start later, or stop
// and start again.
package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports from first to last are below those that systems give to whoever asks
// for any (ip_local_port_range, RFC 6335 section 6), so that none of the many
// connections of tests that run at once takes one while its server is down.
// Those from 20000 are for the buses of Redis clusters, 10000 above their nodes.
const (
	first = 10000
	last  = 19999
)

var (
	mu     sync.Mutex
	claims []net.PacketConn
)

// Address returns an address on 127.0.0.1 that nobody listens on, and that no
// other call gives out while this process runs, in whichever process: its port
// is held for UDP, which no server of a test speaks.
func Address() string {
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first+1))
		claim, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			_ = claim.Close() // a server that is none of ours
			continue
		}
		_ = l.Close() // for the server to come
		mu.Lock()
		defer mu.Unlock()
		claims = append(claims, claim)
		return address
	}
	panic(fmt.Sprintf("loopback: no port from %d to %d is free", first, last))
}
