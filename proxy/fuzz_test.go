package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// FuzzClientBehind: whatever stands in X-Forwarded-For, the client is an
// address that a trusted proxy has vouched for, or the peer.
func FuzzClientBehind(f *testing.F) {
	for _, line := range []string{
		"", "203.0.113.9", "203.0.113.9, 10.0.0.1", "10.0.0.1, 203.0.113.9", "203.0.113.9:80, [2001:db8::1]:443", "::ffff:10.0.0.1", "fe80::1%eth0",
		"1.2.3.4,,10.0.0.1", ",", "unknown, 10.0.0.1", "1.2.3.4 10.0.0.1", "\t1.2.3.4\t,\t10.0.0.1\t", "0x7f.1", "010.0.0.1", "1.2.3.4:", "[::1", "\"1.2.3.4\"",
	} {
		f.Add("10.0.0.2", line, "")
		f.Add("10.0.0.2", line, line)
		f.Add("198.51.100.1", "", line)
	}
	s := &State{trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}}
	f.Fuzz(func(t *testing.T, from, first, second string) {
		peer, err := netip.ParseAddr(from)
		if err != nil || strings.ContainsAny(first+second, "\r\n") {
			return
		}
		client := s.clientBehind(peer, []string{first, second})
		if client == peer {
			return
		}
		if !client.IsValid() || client.Zone() != "" || client.Is4In6() {
			t.Fatalf("the client is %v", client)
		}
		// All that stands behind the client's entry are trusted proxies.
		entries := strings.Split(first+","+second, ",")
		for _, entry := range slices.Backward(entries) {
			if strings.Trim(entry, " \t") == "" {
				continue
			}
			a, ok := parseAddr(strings.Trim(entry, " \t"))
			if !ok {
				t.Fatalf("%q, %q: %v stands before %q, which is no address", first, second, client, entry)
			}
			if a == client {
				return
			}
			if !s.trusts(a) {
				t.Fatalf("%q, %q: %v stands before %v, which nobody trusts", first, second, client, a)
			}
		}
		t.Fatalf("%q, %q: %v is in neither", first, second, client)
	})
}

// FuzzWithoutCookies: the upstream finds every cookie but ours.
func FuzzWithoutCookies(f *testing.F) {
	for _, line := range []string{
		"", "__Host-t=x", "a=b; __Host-t=x; c=d", "__Host-t=x;__Host-t=y", "__Host-t", " __Host-t = x", "a=\"; __Host-t=x\"", "a=b;; ;c", "=x", "__host-t=x", "a=__Host-t=x",
	} {
		f.Add(line, "")
		f.Add("a=b", line)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		for _, b := range []byte(first + second) {
			if b < ' ' && b != '\t' || b == 0x7f {
				return // no such value gets to us
			}
		}
		if strings.Count(first+second, ";") > 1000 {
			return // net/http finds no cookie at all among thousands
		}
		const ours = "__Host-t"
		cookies := func(lines []string) (all []string) {
			for _, c := range (&http.Request{Header: http.Header{"Cookie": lines}}).Cookies() {
				all = append(all, c.Name+"="+c.Value)
			}
			return all
		}
		kept := withoutCookies([]string{first, second}, []string{ours})
		want := slices.DeleteFunc(cookies([]string{first, second}), func(c string) bool { return strings.HasPrefix(c, ours+"=") })
		if got := cookies(kept); !slices.Equal(got, want) {
			t.Errorf("%q, %q: the upstream finds %q, want %q", first, second, got, want)
		}
	})
}
