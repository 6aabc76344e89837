package metrics

import (
	"errors"
	"maps"
	"math"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/auth"
)

// series is what each gatehouse_ metric must be called and labelled by.
var series = map[string]string{
	"gatehouse_requests_total":            "route,method,status",
	"gatehouse_request_duration_seconds":  "route",
	"gatehouse_auth_decisions_total":      "route,result,reason",
	"gatehouse_upstream_duration_seconds": "route",
	"gatehouse_renewals_total":            "issuer,result",
	"gatehouse_introspection_total":       "issuer,result", "gatehouse_introspection_duration_seconds": "issuer",
	"gatehouse_revocations":                       "kind",
	"gatehouse_revocation_age_seconds":            "",
	"gatehouse_revocation_propagation_seconds":    "",
	"gatehouse_revocation_filter_bits":            "",
	"gatehouse_revocation_confirmations_total":    "result",
	"gatehouse_store_up":                          "",
	"gatehouse_store_duration_seconds":            "operation",
	"gatehouse_config_reload_success":             "",
	"gatehouse_config_reloaded_timestamp_seconds": "",
	"gatehouse_issuer_keys":                       "issuer",
	"gatehouse_issuer_keys_age_seconds":           "issuer",
	"gatehouse_issuer_keys_skipped":               "issuer",
	"gatehouse_build_info":                        "version,commit,go",
	"gatehouse_token_grants_total":                "dialect,grant,result",
	"gatehouse_refresh_replays_total":             "",
}

func full() *Metrics {
	m := New(Config{
		Version: "1.2.3", Commit: "abc", StoreOperations: []string{"revoke", "ping"},
		Revocations:   func(k auth.Kind) int { return int(k) * 10 },
		RevocationAge: func(time.Time) time.Duration { return 1500 * time.Millisecond },
		FilterBits:    func() int { return 512 },
		IssuerKeys: func(time.Time) []IssuerKeys {
			return []IssuerKeys{{Issuer: "main", Keys: 3, Skipped: 2, Age: time.Minute}}
		},
	})
	m.Confirmed(auth.Covered)
	r := m.Route("orders")
	r.Request("GET", 200, 3*time.Millisecond)
	r.Request("GET", 200, 20*time.Second)
	r.Decision(auth.OK)
	r.Decision(auth.TokenExpired)
	r.Decision(auth.RevocationStale)
	r.Upstream(40 * time.Microsecond)
	m.Renewal("main", auth.RenewMinted)
	m.Introspection("afar", auth.IntrospectionActive, 20*time.Millisecond)
	m.Introspection("afar", auth.IntrospectionBusy, 0)
	m.Grant("oauth2", "password", auth.OK)
	m.Grant("oauth2", "password", auth.CredentialsInvalid)
	m.Grant("oauth2", "password", auth.CredentialsInvalid)
	m.Replayed()
	m.Propagated(30 * time.Millisecond)
	m.Store("revoke", 2*time.Millisecond, nil)
	m.Reloaded(true, time.Unix(1700000000, 0))
	m.Reloaded(false, time.Unix(1700000099, 0))
	return m
}

// scrape returns every line of /metrics that is a value.
func scrape(t testing.TB, m *Metrics) []string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	return slices.DeleteFunc(strings.Split(w.Body.String(), "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, "#")
	})
}

var (
	histogramSuffix = regexp.MustCompile(`_(bucket|sum|count)$`)
	labelName       = regexp.MustCompile(`([a-z_]+)="`)
)

func TestNamesAndLabelsAreThoseOfTheContract(t *testing.T) {
	got := map[string]string{}
	var runtime bool
	for _, line := range scrape(t, full()) {
		head, _, _ := strings.Cut(line, " ")
		name, labels, _ := strings.Cut(head, "{")
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			runtime = true
			continue
		}
		if base := histogramSuffix.ReplaceAllString(name, ""); series[name] == "" && base != name {
			name = base
		}
		var names []string
		for _, match := range labelName.FindAllStringSubmatch(labels, -1) {
			if match[1] != "le" {
				names = append(names, match[1])
			}
		}
		slices.Sort(names)
		got[name] = strings.Join(names, ",")
	}
	want := map[string]string{}
	for name, labels := range series {
		names := strings.FieldsFunc(labels, func(r rune) bool { return r == ',' })
		slices.Sort(names)
		want[name] = strings.Join(names, ",")
	}
	if !maps.Equal(got, want) {
		t.Errorf("series are\n%v\nwant\n%v", got, want)
	}
	if !runtime {
		t.Error("the Go and process collectors are missing")
	}
}

func TestValues(t *testing.T) {
	lines := scrape(t, full())
	for _, want := range []string{
		`gatehouse_requests_total{method="GET",route="orders",status="200"} 2`,
		`gatehouse_request_duration_seconds_bucket{route="orders",le="0.0025"} 0`,
		`gatehouse_request_duration_seconds_bucket{route="orders",le="0.005"} 1`,
		`gatehouse_request_duration_seconds_bucket{route="orders",le="10"} 1`,
		`gatehouse_request_duration_seconds_bucket{route="orders",le="+Inf"} 2`,
		`gatehouse_request_duration_seconds_sum{route="orders"} 20.003`,
		`gatehouse_introspection_total{issuer="afar",result="active"} 1`,
		`gatehouse_introspection_total{issuer="afar",result="busy"} 1`,
		`gatehouse_introspection_total{issuer="afar",result="failed"} 0`,
		`gatehouse_introspection_duration_seconds_count{issuer="afar"} 1`,
		`gatehouse_upstream_duration_seconds_bucket{route="orders",le="0.0005"} 1`,
		`gatehouse_auth_decisions_total{reason="ok",result="allowed",route="orders"} 1`,
		`gatehouse_auth_decisions_total{reason="token_expired",result="denied",route="orders"} 1`,
		`gatehouse_auth_decisions_total{reason="revocation_stale",result="error",route="orders"} 1`,
		`gatehouse_renewals_total{issuer="main",result="` + auth.RenewMinted.String() + `"} 1`,
		`gatehouse_renewals_total{issuer="main",result="` + auth.RenewFailed.String() + `"} 0`,
		`gatehouse_token_grants_total{dialect="oauth2",grant="password",result="ok"} 1`,
		`gatehouse_token_grants_total{dialect="oauth2",grant="password",result="credentials_invalid"} 2`,
		`gatehouse_refresh_replays_total 1`,
		`gatehouse_revocations{kind="sid"} 20`,
		`gatehouse_revocation_age_seconds 1.5`,
		`gatehouse_revocation_propagation_seconds_count 1`,
		`gatehouse_revocation_filter_bits 512`,
		`gatehouse_revocation_confirmations_total{result="revoked"} 1`,
		`gatehouse_revocation_confirmations_total{result="failed"} 0`,
		`gatehouse_store_up 1`,
		`gatehouse_store_duration_seconds_count{operation="revoke"} 1`,
		`gatehouse_config_reload_success 0`,
		`gatehouse_config_reloaded_timestamp_seconds 1.7e+09`,
		`gatehouse_issuer_keys{issuer="main"} 3`,
		`gatehouse_issuer_keys_age_seconds{issuer="main"} 60`,
		`gatehouse_issuer_keys_skipped{issuer="main"} 2`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("missing %s", want)
		}
	}
}

func TestStoreUpFollowsTheLastOperation(t *testing.T) {
	m := full()
	m.Store("ping", time.Millisecond, errors.New("down"))
	m.Store("an operation that nobody named", time.Millisecond, errors.New("down"))
	lines := scrape(t, m)
	if !slices.Contains(lines, "gatehouse_store_up 0") {
		t.Error("store_up is not 0 after a failed operation")
	}
	if strings.Contains(strings.Join(lines, "\n"), "nobody named") {
		t.Error("an unknown operation became a label")
	}
}

func TestAgeOfAListThatWasNeverWhole(t *testing.T) {
	m := New(Config{RevocationAge: func(time.Time) time.Duration { return math.MaxInt64 }})
	if !slices.Contains(scrape(t, m), "gatehouse_revocation_age_seconds +Inf") {
		t.Error("the age is not infinite")
	}
}

func TestRetainDropsTheSeriesOfWhatIsGone(t *testing.T) {
	m := full()
	m.Route("").Request("GET", 404, time.Millisecond)
	m.Route("new").Request("GET", 200, time.Millisecond)
	late := m.Route("orders")
	m.Retain([]string{"new"}, nil)
	late.Request("GET", 200, time.Millisecond)
	text := strings.Join(scrape(t, m), "\n")
	for want, there := range map[string]bool{
		`route="orders"`: false, `renewals_total{issuer="main"`: false, `introspection_total{issuer="afar"`: false, `route="new"`: true, `route="(none)"`: true,
	} {
		if strings.Contains(text, want) != there {
			t.Errorf("%s: there is %v, want %v", want, !there, there)
		}
	}
}

func TestRouteGoesOnAfterAReload(t *testing.T) {
	m := full()
	m.Route("orders").Request("GET", 200, time.Millisecond)
	m.Retain([]string{"orders"}, []string{"main"})
	if want := `gatehouse_requests_total{method="GET",route="orders",status="200"} 3`; !slices.Contains(scrape(t, m), want) {
		t.Errorf("missing %s", want)
	}
}

// What a client or an upstream may choose freely, a method and a status, must
// not make series.
func TestM03LabelsComeFromClosedSets(t *testing.T) {
	m := New(Config{})
	r := m.Route("orders")
	for i := range 2000 {
		r.Request(strings.Repeat("X", i%300), i-500, time.Millisecond)
		r.Request("GET", i-500, time.Millisecond)
	}
	for _, method := range methods {
		r.Request(method, 200, time.Millisecond)
	}
	lines := scrape(t, m)
	count := 0
	label := regexp.MustCompile(`gatehouse_requests_total{method="([^"]*)",route="orders",status="([^"]*)"}`)
	for _, line := range lines {
		match := label.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		count++
		if !slices.Contains(methods[:], match[1]) || !slices.Contains(statuses[:], match[2]) {
			t.Errorf("label from outside the closed sets: %s", line)
		}
	}
	if most := len(methods) * len(statuses); count == 0 || count > most {
		t.Errorf("%d series of requests, want 1 to %d", count, most)
	}
}

func TestStatusLabels(t *testing.T) {
	for status, want := range map[int]string{
		101: "101", 103: "1xx", 200: "200", 299: "2xx", 418: "4xx", 499: "499", 503: "503", 599: "5xx",
		600: "other", 99: "other", 0: "other", -1: "other",
	} {
		if got := statuses[statusIndex(status)]; got != want {
			t.Errorf("status %d is counted as %q, want %q", status, got, want)
		}
	}
	for _, reason := range auth.Reasons() {
		if got := statuses[statusIndex(reason.Status())]; strings.HasSuffix(got, "xx") {
			t.Errorf("the status of %s is counted as %q", reason, got)
		}
	}
}

func TestMethodLabels(t *testing.T) {
	for _, method := range methods[1:] {
		if got := methods[methodIndex(method)]; got != method {
			t.Errorf("%s is counted as %s", method, got)
		}
	}
	for _, method := range []string{"", "get", "PROPFIND", "other "} {
		if got := methods[methodIndex(method)]; got != "other" {
			t.Errorf("%q is counted as %s", method, got)
		}
	}
}

func TestEveryReasonAndResultHasRoom(t *testing.T) {
	if n := len(auth.Reasons()); n > maxReasons {
		t.Errorf("%d reasons, room for %d", n, maxReasons)
	}
	if n := len(auth.IntrospectionResults()); n > len(introspections{}.results) {
		t.Errorf("%d results of a question, room for %d", n, len(introspections{}.results))
	}
	if n := len(auth.RenewResults()); n > len(renewals{}) {
		t.Errorf("%d results of a renewal, room for %d", n, len(renewals{}))
	}
}

func TestScrapeWhileCounting(t *testing.T) {
	m := full()
	var counting sync.WaitGroup
	for range 4 {
		counting.Go(func() {
			for range 500 {
				m.Route("orders").Request("GET", 200, time.Millisecond)
				m.Renewal("main", auth.RenewReused)
				m.Store("ping", time.Millisecond, nil)
			}
		})
	}
	for range 10 {
		scrape(t, m)
	}
	counting.Wait()
	if want := `gatehouse_requests_total{method="GET",route="orders",status="200"} 2002`; !slices.Contains(scrape(t, m), want) {
		t.Errorf("missing %s", want)
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	m := full()
	r := m.Route("orders")
	if n := testing.AllocsPerRun(100, func() { record(m, r) }); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func record(m *Metrics, r *Route) {
	r.Decision(auth.OK)
	r.Upstream(3 * time.Millisecond)
	r.Request("GET", 200, 4*time.Millisecond)
	m.Renewal("main", auth.RenewReused)
}

func BenchmarkRequest(b *testing.B) {
	m := full()
	r := m.Route("orders")
	b.ReportAllocs()
	for b.Loop() {
		record(m, r)
	}
}

func BenchmarkRequestParallel(b *testing.B) {
	m := full()
	r := m.Route("orders")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			record(m, r)
		}
	})
}

func BenchmarkScrape(b *testing.B) {
	m := full()
	for b.Loop() {
		scrape(b, m)
	}
}
