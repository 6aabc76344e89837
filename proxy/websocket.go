package proxy

import (
	"bufio"
	"net"
	"net/http"
)

// Hijack is called by ReverseProxy when both sides have agreed to switch
// protocols.
func (x *Exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(x.writer).Hijack()
	if err == nil {
		x.status = http.StatusSwitchingProtocols
		x.watch(x.cancel)
	}
	return conn, rw, err
}
