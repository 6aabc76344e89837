package loopback

import (
	"net"
	"testing"
)

func TestAddress(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		address := Address()
		if seen[address] {
			t.Fatalf("%s twice", address)
		}
		seen[address] = true
		if claim, err := net.ListenPacket("udp", address); err == nil {
			_ = claim.Close()
			t.Fatalf("another process could get %s", address)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	}
}
