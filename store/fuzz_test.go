package store

import (
	"net"
	"reflect"
	"strings"
	"testing"
)

// FuzzRedisURL: a URL is read as addresses that can be connected to, or refused
// without a word of its password.
func FuzzRedisURL(f *testing.F) {
	for _, u := range []string{
		"redis://localhost", "redis://user:hunter2@h:6379/0", "rediss://:hunter2@[::1]:6380/3", "redis+sentinel://u:hunter2@a,b:26379/0?master=main", "rediss+cluster://a,b,c:7000/0",
		"redis://", "redis://h/x", "redis://h?master=m", "redis://a,b", "redis://u:hunter2@h/0/1", "redis://u:hunter2%2@h", "redis://u:hunter2@h#x", "redis+sentinel://a", "http://h", "redis://u:hun@ter2@h", "redis://h:", "redis://0]000",
	} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		opts, err := redisOptions(raw)
		if err != nil {
			if strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("the error tells the password: %v", err)
			}
			return
		}
		if len(opts.Addrs) == 0 || opts.DB < 0 || len(opts.Addrs) > 1 && opts.MasterName == "" && !opts.IsClusterMode {
			t.Fatalf("%q became %+v", raw, opts)
		}
		for _, a := range opts.Addrs {
			if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
				t.Fatalf("%q: address %q, %v", raw, a, err)
			}
		}
	})
}

// FuzzParseSession: a record that is not one is an error, never a session
// without id or hashes (R14).
func FuzzParseSession(f *testing.F) {
	sum := strings.Repeat("0a", 32)
	f.Add(`{"id":"s","iss":"main","sub":"u","auth_time":1}`, sum, sum, "1790000000000", "1790000000001", "")
	f.Add(`{"id":"s","claims":{"a":1}}`, sum, strings.ToUpper(sum), "-1", "9223372036854775807", "1")
	f.Add(`{}`, sum, sum, "1", "2", "")
	f.Add(`{"id":"s"}`, sum[2:], sum, "1", "2", "")
	f.Add(`null`, "", "", "", "", "")
	f.Fuzz(func(t *testing.T, record, family, current, refreshed, expires, replayed string) {
		s, err := parseSession([]string{record, family, current, refreshed, expires, replayed})
		if err != nil {
			return
		}
		if s.ID == "" || !strings.EqualFold(hex32(s.Refresh.Family).String(), family) || !strings.EqualFold(hex32(s.Refresh.Current).String(), current) {
			t.Fatalf("%q became %+v", record, s)
		}
		text, err := encodeSession(s)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseSession([]string{string(text), family, current, refreshed, expires, replayed}); err != nil || !reflect.DeepEqual(again.Claims == nil, s.Claims == nil) || again.ID != s.ID {
			t.Fatalf("%+v became %+v: %v", s, again, err)
		}
	})
}

// FuzzParseKey: likewise for API keys.
func FuzzParseKey(f *testing.F) {
	sum := strings.Repeat("0a", 32)
	for _, record := range []string{`{"id":"app","routes":null}`, `{"id":"app","not_after":"2027-01-01T00:00:00Z","routes":["a"]}`, `{"id":""}`, `{`, `[]`} {
		f.Add(sum, record)
		f.Add(sum[2:], record)
	}
	f.Fuzz(func(t *testing.T, sum, record string) {
		k, err := parseKeyHex(sum, record)
		if err != nil {
			return
		}
		if k.ID == "" || !k.Stored || !strings.EqualFold(hex32(k.SHA256).String(), sum) {
			t.Fatalf("%q, %q became %+v", sum, record, k)
		}
	})
}
