package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.etcd.io/bbolt"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
)

func TestRedisOptions(t *testing.T) {
	for _, c := range []struct {
		url              string
		addrs            string
		user, pass       string
		db               int
		master           string
		tls, clusterMode bool
	}{
		{url: "redis://h", addrs: "h:6379"},
		{url: "redis://u:p%40:%2F@h:1/7", addrs: "h:1", user: "u", pass: "p@:/", db: 7},
		{url: "redis://:p@[::1]:1/", addrs: "[::1]:1", pass: "p"},
		{url: "redis://[::1]", addrs: "[::1]:6379"},
		{url: "rediss://h/0", addrs: "h:6379", tls: true},
		{url: "redis+sentinel://u:p@a,b:1,c/2?master=m", addrs: "a:26379 b:1 c:26379", user: "u", pass: "p", db: 2, master: "m"},
		{url: "rediss+sentinel://a?master=m", addrs: "a:26379", master: "m", tls: true},
		{url: "redis+cluster://u:p@a:1,b", addrs: "a:1 b:6379", user: "u", pass: "p", clusterMode: true},
		{url: "rediss+cluster://a", addrs: "a:6379", clusterMode: true, tls: true},
	} {
		o, err := redisOptions(c.url)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if got := strings.Join(o.Addrs, " "); got != c.addrs || o.Username != c.user || o.Password != c.pass || o.DB != c.db ||
			o.MasterName != c.master || (o.TLSConfig != nil) != c.tls || o.IsClusterMode != c.clusterMode {
			t.Errorf("%s: %+v", c.url, o)
		}
	}
	for _, url := range []string{
		"redis://", "redis://a,b", "redis://a,", "redis+cluster://a,,b", "redis://h/x", "redis://h/-1", "redis://h/1/2",
		"redis://h?master=m", "redis+sentinel://h", "redis+sentinel://h?master=", "redis+sentinel://h?master=m&x=1",
		"redis+cluster://h/1", "redis://h?timeout=1", "redis://h#f", "redis://h:99999999999:1", "redis://u:%zz@h", "redis://a b",
	} {
		if o, err := redisOptions(url); err == nil {
			t.Errorf("%s: no error, but %v %+v", url, o.Addrs, o)
		}
	}
}

func TestRedisHints(t *testing.T) {
	r := &redisStore{}
	for _, h := range redisHints {
		cause := errors.New(h.prefix + " and so on")
		if err := r.failed(cause); !errors.Is(err, ErrUnavailable) || !errors.Is(err, cause) || !strings.Contains(err.Error(), h.hint) {
			t.Errorf("%s: %v", h.prefix, err)
		}
	}
}

func FuzzParseRevocation(f *testing.F) {
	f.Add("sid 4 main 8f1c", "4294967295 1790000000")
	f.Add("api_key 0  web-app", "4294967295 1790000000")
	f.Add("sub 5 a b c d", "0 0")
	f.Add("key sid 00112233445566778899aabbccddeef8", "0 1790000000")
	for _, name := range []string{
		"", "sid", "sid 4", "sid 4 mai", "sid -1 a", "sid 04 main a", "sid 4 main", "sid 4 main ", "sid +4 main a",
		"key", "key sid", "key sid 00", "key 4 main a", "key sid 00000000000000000000000000000000",
		"key sid 00112233445566778899aabbccddeeff", "key sid 00112233445566778899AABBCCDDEEF8", "key sid  0112233445566778899aabbccddeef8",
		"key sid 00112233445566778899aabbccddeef8 ", "key key 00112233445566778899aabbccddeef8",
	} {
		f.Add(name, "1 2")
	}
	f.Fuzz(func(t *testing.T, name, times string) {
		r, err := parseRevocation(name, times)
		if err != nil {
			return
		}
		if got := revocationName(r); got != name || (r.ID == "") != r.ByKey.Valid() || !r.Kind.Valid() {
			t.Errorf("%q became %+v, which is %q", name, r, got)
		}
		again, err := parseRevocation(revocationName(r), revocationTimes(r.BeforeSeconds(), r.UntilSeconds()))
		if r.Until.Unix() < 1<<32-1 && (err != nil || !reflect.DeepEqual(r, again)) {
			t.Errorf("%+v became %+v: %v", r, again, err)
		}
	})
}

// FuzzParseMessage: an entry of the log is read as what it says or not at all.
func FuzzParseMessage(f *testing.F) {
	sum := strings.Repeat("0a", 32)
	for _, m := range [][5]string{
		{"1790000000000-0", "revoked", "sid 4 main 8f1c", "times", "4294967295 1790000000"},
		{"1790000000000-1", "revoked", "key sid 00112233445566778899aabbccddeef8", "times", "0 1790000000"},
		{"1790000000000-2", "key_put", sum, "record", `{"id":"app","routes":null}`},
		{"1790000000000-3", "key_deleted", sum, "", ""},
		{"0-1", "begun", "EPOCH", "", ""},
		{"x-1", "begun", "EPOCH", "", ""},
		{"1-1", "revoked", "sid 4 main a", "", ""},
		{"1-1", "revoked", "sid 4 main a", "key_put", sum},
		{"1-1", "key_deleted", "0a", "", ""},
		{"1-1", "", "", "", ""},
	} {
		f.Add(m[0], m[1], m[2], m[3], m[4])
	}
	f.Fuzz(func(t *testing.T, id, field, value, second, more string) {
		e, err := parseMessage(redis.XMessage{ID: id, Values: map[string]any{field: value, second: more}})
		if err != nil {
			return
		}
		ok := false
		switch e.Op {
		case 0:
			ok = field == "begun" || second == "begun"
		case revocation.Revoked:
			ok = e.Revocation.Kind.Valid() && revocationName(e.Revocation) != "" && !e.Revocation.Until.IsZero()
		case revocation.KeyPut, revocation.KeyDeleted:
			ok = e.Key.ID != "" && strings.Contains(strings.ToLower(value+more), hex.EncodeToString(e.Key.SHA256[:]))
		}
		if !ok || e.Time.IsZero() {
			t.Errorf("%q %q %q %q %q became %+v", id, field, value, second, more, e)
		}
	})
}

func TestJournal(t *testing.T) {
	j := newJournal()
	start := j.end()
	if events, _, ok := j.after(start); !ok || len(events) != 0 {
		t.Fatalf("an empty journal: %v %v", events, ok)
	}
	_, changed, _ := j.after(start)
	var at []revocation.Position
	for i := range 3 * journalSize {
		j.add(revocation.Event{Op: revocation.Revoked, Revocation: auth.Revocation{ID: fmt.Sprint(i)}})
		at = append(at, j.end())
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was woken")
	}
	if _, _, ok := j.after(start); ok {
		t.Error("the beginning is still there")
	}
	for behind := 1; behind <= journalSize; behind *= 2 {
		events, _, ok := j.after(at[len(at)-1-behind])
		if !ok || len(events) != behind || events[0].Revocation.ID != fmt.Sprint(len(at)-behind) || events[behind-1].Position != j.end() {
			t.Errorf("%d behind: %d events, %v", behind, len(events), ok)
		}
	}
	for _, p := range []revocation.Position{"", "x", "x 1", j.position(uint64(len(at)) + 1), newJournal().position(uint64(len(at)))} {
		if _, _, ok := j.after(p); ok {
			t.Errorf("%q is a position", p)
		}
	}
}

// TestEmbeddedTrims: each write takes out entries that are long over.
func TestEmbeddedTrims(t *testing.T) {
	s, err := openMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	put := func(id string, until time.Time) {
		t.Helper()
		r := auth.Revocation{Kind: auth.KindSession, Issuer: "main", ID: id, Until: until}
		if err := s.write(t.Context(), revocation.Event{Op: revocation.Revoked, Revocation: r}); err != nil {
			t.Fatal(err)
		}
	}
	count := func(bucket []byte) (n int) {
		_ = s.db.View(func(tx *bbolt.Tx) error {
			return tx.Bucket(bucket).ForEach(func(_, _ []byte) error { n++; return nil })
		})
		return n
	}
	now := time.Now()
	_ = s.db.Update(func(tx *bbolt.Tx) error {
		for i := range 150 {
			if _, _, err := putRevocation(tx, auth.Revocation{
				Kind: auth.KindSession, Issuer: "main", ID: fmt.Sprint("old", i), Until: now.Add(-time.Hour),
			}); err != nil {
				return err
			}
		}
		_, _, err := putRevocation(tx, auth.Revocation{Kind: auth.KindSession, Issuer: "main", ID: "just over", Until: now.Add(-time.Minute)})
		return err
	})
	until := now.Add(-trimSlack + time.Minute)
	for _, want := range []int{52, 2, 2} { // 100 at a time
		put("prolonged", until)
		until = now.Add(time.Hour)
		if a, b := count(bucketRevocations), count(bucketExpiry); a != want || b != want {
			t.Errorf("%d entries, %d in the order of expiry, want %d", a, b, want)
		}
	}
}
