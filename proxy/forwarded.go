package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// identifyClient finds out who sent the request: the peer of the connection,
// or whom trusted proxies say they had it from.
func (x *Exchange) identifyClient() {
	peer, _ := netip.ParseAddrPort(x.in.RemoteAddr) // a Unix socket has no address: nobody is trusted
	x.peer = peer.Addr().Unmap().WithZone("")
	x.trusted = x.state.trusts(x.peer)
	x.client = x.peer
	if x.trusted {
		x.client = x.state.clientBehind(x.peer, x.in.Header["X-Forwarded-For"])
	}
}

func (s *State) trusts(a netip.Addr) bool {
	for _, p := range s.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// clientBehind walks X-Forwarded-For from its end, where each proxy added its
// peer, to the first address that is not a trusted proxy. An entry that is no
// address ends the walk: what stands before it may be the client's invention.
func (s *State) clientBehind(peer netip.Addr, lines []string) netip.Addr {
	client := peer
	for _, line := range slices.Backward(lines) {
		for line != "" {
			i := strings.LastIndexByte(line, ',')
			entry, ok := parseAddr(strings.Trim(line[i+1:], " \t"))
			if !ok {
				return client
			}
			client = entry
			if !s.trusts(client) {
				return client
			}
			line = line[:max(i, 0)]
		}
	}
	return client
}

// parseAddr reads an address, also with the port that some proxies add.
func parseAddr(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = withPort.Addr()
	}
	return a.Unmap().WithZone(""), true
}

// setForwarded tells the upstream where the request came from: what we saw,
// after what a trusted proxy said that it saw.
func (x *Exchange) setForwarded(out http.Header) {
	in := x.in.Header
	hop := &x.values
	if x.peer.IsValid() {
		hop.forwardedFor[0] = x.peer.String()
		if lines := in["X-Forwarded-For"]; x.trusted && len(lines) > 0 {
			hop.forwardedFor[0] = strings.Join(lines, ", ") + ", " + hop.forwardedFor[0]
		}
		out["X-Forwarded-For"] = hop.forwardedFor[:]
	}
	hop.forwardedHost[0] = x.in.Host
	if lines := in["X-Forwarded-Host"]; x.trusted && len(lines) == 1 && lines[0] != "" {
		hop.forwardedHost[0] = lines[0]
	}
	if hop.forwardedHost[0] != "" { // HTTP/1.0 needs no Host
		out["X-Forwarded-Host"] = hop.forwardedHost[:]
	}
	hop.forwardedProto[0] = "http"
	if x.in.TLS != nil {
		hop.forwardedProto[0] = "https"
	}
	if lines := in["X-Forwarded-Proto"]; x.trusted && len(lines) == 1 && (lines[0] == "http" || lines[0] == "https") {
		hop.forwardedProto[0] = lines[0]
	}
	out["X-Forwarded-Proto"] = hop.forwardedProto[:]
}
