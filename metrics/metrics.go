package metrics

import (
	"math"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/auth"
)

// The series, by name and labels. Dashboards and alert rules rely on them.
var (
	requestsTotal         = desc("requests_total", "Requests that were answered.", "route", "method", "status")
	requestDuration       = desc("request_duration_seconds", "Time from a request's head to the end of its answer.", "route")
	decisionsTotal        = desc("auth_decisions_total", "Decisions whether a request is let through.", "route", "result", "reason")
	upstreamDuration      = desc("upstream_duration_seconds", "Time until the upstream's final response header.", "route")
	renewalsTotal         = desc("renewals_total", "Tokens that were due for renewal, by what came of it.", "issuer", "result")
	introspectionTotal    = desc("introspection_total", "Questions to the issuer about an opaque token, by what came of it.", "issuer", "result")
	introspectionDuration = desc("introspection_duration_seconds", "Time that an issuer took to answer about an opaque token.", "issuer")
	tokenGrantsTotal      = desc("token_grants_total", "What token endpoints were asked for, by what came of it.", "dialect", "grant", "result")
	refreshReplays        = desc("refresh_replays_total", "Sessions that were ended because a used refresh token came again.")
	revocations           = desc("revocations", "Entries in this replica's copy of the revocation list.", "kind")
	revocationAge         = desc("revocation_age_seconds", "Age of this replica's copy of the revocation list.")
	revocationPropagation = desc("revocation_propagation_seconds", "Time from a revocation's acknowledgement to its being in force in this replica.")
	filterBits            = desc("revocation_filter_bits", "Size of the filter that stands for most entries of the revocation list; 0: every entry is kept.")
	confirmationsTotal    = desc("revocation_confirmations_total", "Questions to the store about what the filter was unsure of, by the answer.", "result")
	storeUp               = desc("store_up", "1 if the store answered when it was last asked, else 0.")
	storeDuration         = desc("store_duration_seconds", "Time that an operation on the store took.", "operation")
	reloadSuccess         = desc("config_reload_success", "1 if the configuration was accepted when it was last read, else 0.")
	reloadedTimestamp     = desc("config_reloaded_timestamp_seconds", "Unix time since when the configuration is in force.")
	issuerKeys            = desc("issuer_keys", "Keys by which tokens of the issuer are verified.", "issuer")
	issuerKeysAge         = desc("issuer_keys_age_seconds", "Time since the issuer's keys were last read.", "issuer")
	issuerKeysSkipped     = desc("issuer_keys_skipped", "Keys that the issuer publishes and that are left out: weak, malformed, or for another use.", "issuer")
	logDropped            = desc("log_lines_dropped_total", "Lines of the log that were lost because nobody read it.")
	buildInfo             = desc("build_info", "1; the labels say what is running.", "version", "commit", "go")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("gatehouse_"+name, help, labels, nil)
}

// Config says what is asked at each scrape. A nil function leaves its series
// out.
type Config struct {
	Version string
	Commit  string
	// StoreOperations are the values of the label `operation`.
	StoreOperations []string
	// Revocations is the number of entries of that kind.
	Revocations func(auth.Kind) int
	// RevocationAge is the age of the copy of the revocation list. The longest
	// duration there is stands for a list that was never whole, shown as +Inf.
	RevocationAge func(now time.Time) time.Duration
	// FilterBits is the size of the filter that stands for most of that list.
	FilterBits func() int
	// LogDropped is how many lines of the log were lost.
	LogDropped func() uint64
	// IssuerKeys tells of each issuer's keys.
	IssuerKeys func(now time.Time) []IssuerKeys
}

// IssuerKeys tells how many keys an issuer has, how many more it publishes, and
// when they were read.
type IssuerKeys struct {
	Issuer  string
	Keys    int
	Skipped int
	Age     time.Duration
}

// Metrics is every collector of the process.
type Metrics struct {
	cfg      Config
	registry *prometheus.Registry

	routes  sync.Map // name → *Route
	issuers sync.Map // name → *renewals
	asked   sync.Map // name of an issuer → *introspections
	grants  sync.Map // grant → *grants

	replays     atomic.Uint64
	confirmed   [len(confirmations)]atomic.Uint64 // by auth.Coverage
	propagation histogram
	store       map[string]*histogram // by operation; never written after New
	storeUp     atomic.Bool
	reloadOK    atomic.Bool
	reloadedAt  atomic.Int64 // Unix nanoseconds; 0: never
}

// confirmations are the values of the label `result`, by what the store said.
var confirmations = [...]string{auth.Unsure: "failed", auth.NotCovered: "not_revoked", auth.Covered: "revoked"}

// renewals counts by auth.RenewResult, of which there are fewer than 8.
type renewals [8]atomic.Uint64

// introspections counts by auth.IntrospectionResult, of which there are fewer than 8.
type introspections struct {
	results  [8]atomic.Uint64
	duration histogram
}

// grant is one kind of request that token endpoints get. Both come from closed
// sets.
type grant struct{ dialect, grant string }

// grants counts by auth.Reason.
type grants [maxReasons]atomic.Uint64

// New returns the metrics of a process that has not read its configuration and
// not asked its store yet.
func New(cfg Config) *Metrics {
	m := &Metrics{cfg: cfg, registry: prometheus.NewRegistry(), store: make(map[string]*histogram, len(cfg.StoreOperations))}
	for _, operation := range cfg.StoreOperations {
		m.store[operation] = new(histogram)
	}
	m.registry.MustRegister(
		collector{m},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Route returns the counters of the route with that name, which go on where
// they were when the route was there before; the empty name stands for
// requests that no route matches. It is meant for the time at which a
// configuration is built, not for each request.
func (m *Metrics) Route(name string) *Route {
	if name == "" {
		name = noRoute
	}
	return loadOrNew[Route](&m.routes, name)
}

// Renewal counts what came of a renewal. The name is the issuer's configured
// one.
func (m *Metrics) Renewal(issuer string, result auth.RenewResult) {
	loadOrNew[renewals](&m.issuers, issuer)[result].Add(1)
}

// Introspection counts a question to the issuer with that configured name, and
// how long it took unless it was not sent.
func (m *Metrics) Introspection(issuer string, result auth.IntrospectionResult, took time.Duration) {
	i := loadOrNew[introspections](&m.asked, issuer)
	i.results[result].Add(1)
	if result != auth.IntrospectionBusy {
		i.duration.observe(took)
	}
}

// Grant counts a request to a token endpoint: what it asked for, and OK or why
// it was refused.
func (m *Metrics) Grant(dialect, name string, reason auth.Reason) {
	loadOrNew[grants](&m.grants, grant{dialect, name})[reason].Add(1)
}

// Replayed counts a session that was ended because a used refresh token came
// again.
func (m *Metrics) Replayed() { m.replays.Add(1) }

// Retain drops the series of all routes and issuers but those with these
// names. A request that is under way on a dropped route is not counted.
func (m *Metrics) Retain(routes, issuers []string) {
	retain(&m.routes, append([]string{noRoute}, routes...))
	retain(&m.issuers, issuers)
	retain(&m.asked, issuers)
	for _, name := range issuers {
		loadOrNew[renewals](&m.issuers, name) // counts from 0
	}
}

// Propagated counts how long a revocation took to arrive in this replica.
func (m *Metrics) Propagated(took time.Duration) { m.propagation.observe(took) }

// Confirmed counts a question to the store about what the list in memory was
// unsure of.
func (m *Metrics) Confirmed(c auth.Coverage) { m.confirmed[c].Add(1) }

// Store counts an operation on the store; err is nil unless the store could
// not be had. An operation that Config does not name has no series.
func (m *Metrics) Store(operation string, took time.Duration, err error) {
	m.storeUp.Store(err == nil)
	if h := m.store[operation]; h != nil {
		h.observe(took)
	}
}

// Reloaded notes that the configuration was read at that time, and whether it
// is in force now.
func (m *Metrics) Reloaded(ok bool, at time.Time) {
	m.reloadOK.Store(ok)
	if ok {
		m.reloadedAt.Store(at.UnixNano())
	}
}

func loadOrNew[T any, K comparable](m *sync.Map, name K) *T {
	v, ok := m.Load(name)
	if !ok {
		v, _ = m.LoadOrStore(name, new(T))
	}
	return v.(*T)
}

func retain(m *sync.Map, names []string) {
	m.Range(func(name, _ any) bool {
		if !slices.Contains(names, name.(string)) {
			m.Delete(name)
		}
		return true
	})
}

// collector is the side of Metrics that the registry sees.
type collector struct{ m *Metrics }

// Describe tells the registry every series there can be, so that a name or a
// label that is used twice is found at the start.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		requestsTotal, requestDuration, decisionsTotal, upstreamDuration, renewalsTotal, introspectionTotal, introspectionDuration, tokenGrantsTotal, refreshReplays, revocations, revocationAge,
		revocationPropagation, filterBits, confirmationsTotal, storeUp, storeDuration, reloadSuccess, reloadedTimestamp, issuerKeys, issuerKeysAge, issuerKeysSkipped, logDropped, buildInfo,
	} {
		ch <- d
	}
}

// Collect reads everything for one scrape.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	m, now := c.m, time.Now()
	m.routes.Range(func(name, route any) bool {
		route.(*Route).collect(ch, name.(string))
		return true
	})
	m.issuers.Range(func(name, counts any) bool {
		for _, result := range auth.RenewResults() {
			ch <- counter(renewalsTotal, counts.(*renewals)[result].Load(), name.(string), result.String())
		}
		return true
	})
	m.asked.Range(func(name, counts any) bool {
		i := counts.(*introspections)
		for _, result := range auth.IntrospectionResults() {
			ch <- counter(introspectionTotal, i.results[result].Load(), name.(string), result.String())
		}
		i.duration.collect(ch, introspectionDuration, name.(string))
		return true
	})
	m.grants.Range(func(key, counts any) bool {
		for _, reason := range auth.Reasons() {
			if n := counts.(*grants)[reason].Load(); n > 0 {
				ch <- counter(tokenGrantsTotal, n, key.(grant).dialect, key.(grant).grant, reason.String())
			}
		}
		return true
	})
	ch <- counter(refreshReplays, m.replays.Load())
	m.propagation.collect(ch, revocationPropagation)
	for c, result := range confirmations {
		ch <- counter(confirmationsTotal, m.confirmed[c].Load(), result)
	}
	for operation, h := range m.store {
		h.collect(ch, storeDuration, operation)
	}
	ch <- gauge(storeUp, truth(m.storeUp.Load()))
	ch <- gauge(reloadSuccess, truth(m.reloadOK.Load()))
	ch <- gauge(reloadedTimestamp, float64(m.reloadedAt.Load())/1e9)
	ch <- gauge(buildInfo, 1, m.cfg.Version, m.cfg.Commit, runtime.Version())
	m.ask(ch, now)
}

// ask collects what others keep.
func (m *Metrics) ask(ch chan<- prometheus.Metric, now time.Time) {
	if m.cfg.Revocations != nil {
		for _, kind := range auth.Kinds() {
			ch <- gauge(revocations, float64(m.cfg.Revocations(kind)), kind.String())
		}
	}
	if m.cfg.RevocationAge != nil {
		age := m.cfg.RevocationAge(now)
		seconds := age.Seconds()
		if age == math.MaxInt64 {
			seconds = math.Inf(1)
		}
		ch <- gauge(revocationAge, seconds)
	}
	if m.cfg.FilterBits != nil {
		ch <- gauge(filterBits, float64(m.cfg.FilterBits()))
	}
	if m.cfg.LogDropped != nil {
		ch <- counter(logDropped, m.cfg.LogDropped())
	}
	if m.cfg.IssuerKeys != nil {
		for _, k := range m.cfg.IssuerKeys(now) {
			ch <- gauge(issuerKeys, float64(k.Keys), k.Issuer)
			ch <- gauge(issuerKeysAge, k.Age.Seconds(), k.Issuer)
			ch <- gauge(issuerKeysSkipped, float64(k.Skipped), k.Issuer)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
