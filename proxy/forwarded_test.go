package proxy

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"reflect"
	"testing"
)

func TestSetForwarded(t *testing.T) {
	trusting := &State{trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for name, c := range map[string]struct {
		remote, host string
		tls          bool
		in           http.Header
		want         http.Header
	}{
		"a trusted proxy that says nothing": {
			remote: "10.0.0.1:5", host: "gw", want: http.Header{"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Host": {"gw"}, "X-Forwarded-Proto": {"http"}},
		},
		"a trusted proxy that says all": {
			remote: "10.0.0.1:5", host: "gw", in: http.Header{"X-Forwarded-For": {"1.2.3.4", "10.0.0.2"}, "X-Forwarded-Host": {"site"}, "X-Forwarded-Proto": {"https"}},
			want: http.Header{"X-Forwarded-For": {"1.2.3.4, 10.0.0.2, 10.0.0.1"}, "X-Forwarded-Host": {"site"}, "X-Forwarded-Proto": {"https"}},
		},
		"by TLS, for a client that did not": {
			remote: "10.0.0.1:5", host: "gw", tls: true, in: http.Header{"X-Forwarded-Proto": {"http"}},
			want: http.Header{"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Host": {"gw"}, "X-Forwarded-Proto": {"http"}},
		},
		"an empty host of a trusted proxy": {
			remote: "10.0.0.1:5", host: "gw", in: http.Header{"X-Forwarded-Host": {""}, "X-Forwarded-Proto": {"https", "https"}},
			want: http.Header{"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Host": {"gw"}, "X-Forwarded-Proto": {"http"}},
		},
		"a trusted proxy, by an IPv6 socket": {
			remote: "[::ffff:10.0.0.1]:5", host: "gw", in: http.Header{"X-Forwarded-Host": {"site"}},
			want: http.Header{"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Host": {"site"}, "X-Forwarded-Proto": {"http"}},
		},
		"anybody, by TLS": {
			remote: "[2001:db8::1%eth0]:5", host: "gw", tls: true, in: http.Header{"X-Forwarded-For": {"10.0.0.2"}, "X-Forwarded-Host": {"site"}, "X-Forwarded-Proto": {"http"}},
			want: http.Header{"X-Forwarded-For": {"2001:db8::1"}, "X-Forwarded-Host": {"gw"}, "X-Forwarded-Proto": {"https"}},
		},
		"a Unix socket, and HTTP/1.0 without a host": {
			remote: "@", in: http.Header{"X-Forwarded-For": {"10.0.0.2"}, "X-Forwarded-Host": {"site"}}, want: http.Header{"X-Forwarded-Proto": {"http"}},
		},
	} {
		r := &http.Request{RemoteAddr: c.remote, Host: c.host, Header: c.in}
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		x := &Exchange{state: trusting, in: r}
		x.identifyClient()
		out := http.Header{}
		x.setForwarded(out)
		if !reflect.DeepEqual(out, c.want) {
			t.Errorf("%s:\n got %v\nwant %v", name, out, c.want)
		}
	}
}
