package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// bySlog writes the line that slog's handlers would.
func bySlog(h slog.Handler, x *Exchange, took time.Duration) {
	r := slog.NewRecord(x.start.Add(took), slog.LevelInfo, "request", 0)
	client := ""
	if x.client.IsValid() {
		client = x.client.String()
	}
	r.AddAttrs(
		slog.String("request_id", x.id), slog.String("method", x.in.Method), slog.String("host", x.in.Host), slog.String("path", x.in.URL.EscapedPath()),
		slog.String("route", ""), slog.Int("status", x.status), slog.Int64("bytes", x.bytes),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000), slog.Float64("upstream_ms", float64(x.upstream.Microseconds())/1000),
		slog.String("client_ip", client), slog.String("api_key_id", x.decision.Principal.APIKeyID),
		slog.String("sub", x.outcome.Subject), slog.String("jti", x.outcome.TokenID), slog.String("result", outcome(x.reason)), slog.String("reason", x.reason.String()),
	)
	_ = h.Handle(context.Background(), r)
}

// The access log's lines are those that the rest of the log's handlers would
// make, whatever is in them.
func TestAccessLogIsOfTheSlogForm(t *testing.T) {
	for i, s := range []string{
		"", "plain", "two words", `quo"te`, "a=b", `back\slash`, "żółć", "雪", "\u2028", "<&>", "{}", "[", ",", "'", "`", "a\ufffdb", "/x%2F?", "\u00ad", "😀",
	} {
		x := &Exchange{in: httptest.NewRequest("GET", "/a/b?secret=q", nil), start: time.Date(2026, 1, 2, 3, 4, 5, 678900123, time.FixedZone("", 3600))}
		x.in.Host, x.id, x.decision.Principal.APIKeyID, x.outcome.Subject, x.outcome.TokenID = s, "id-1", s, s, s
		x.status, x.bytes, x.upstream = 100*i, int64(i)<<40, time.Duration(i)*time.Microsecond
		if i%2 == 1 {
			x.client = netip.MustParseAddr([]string{"192.0.2.1", "2001:db8::1"}[i/2%2])
		}
		took := time.Duration(i*i) * 1234567
		var got, want bytes.Buffer
		bySlog(slog.NewTextHandler(&want, nil), x, took)
		x.logAccess(AccessLog{Out: &got, Text: true}, took)
		if got.String() != want.String() {
			t.Errorf("text:\ngot  %swant %s", &got, &want)
		}
		got.Reset()
		want.Reset()
		bySlog(slog.NewJSONHandler(&want, nil), x, took)
		x.logAccess(AccessLog{Out: &got}, took)
		var a, b map[string]any
		if json.Unmarshal(got.Bytes(), &a) != nil || json.Unmarshal(want.Bytes(), &b) != nil || !reflect.DeepEqual(a, b) || len(a) != 18 {
			t.Errorf("JSON:\ngot  %swant %s", &got, &want)
		}
		if strings.Count(got.String(), "\n") != 1 || !strings.HasSuffix(got.String(), "}\n") {
			t.Errorf("no line: %q", &got)
		}
	}
}

// One line is written while others are put together.
func TestAccessLinesAreNotShared(t *testing.T) {
	var first bytes.Buffer
	again := writerFunc(func(b []byte) (int, error) {
		(&Exchange{in: httptest.NewRequest("GET", "/other", nil)}).logAccess(AccessLog{Out: &bytes.Buffer{}}, 0)
		return first.Write(b)
	})
	(&Exchange{in: httptest.NewRequest("GET", "/first", nil)}).logAccess(AccessLog{Out: again}, 0)
	var line map[string]any
	if err := json.Unmarshal(first.Bytes(), &line); err != nil || line["path"] != "/first" {
		t.Errorf("%v, %v", maps.Keys(line), err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestAccessLogAllocatesNothing(t *testing.T) {
	x := &Exchange{in: httptest.NewRequest("GET", "/a", nil), client: netip.MustParseAddr("192.0.2.1"), id: "id-1"}
	out := writerFunc(func(b []byte) (int, error) { return len(b), nil })
	if n := testing.AllocsPerRun(100, func() { x.logAccess(AccessLog{Out: out}, time.Millisecond) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
