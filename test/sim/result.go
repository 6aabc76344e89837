package sim

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// retention is how long an entry stays in the log.
const retention = 10 * time.Minute

// Result is what a run came to.
type Result struct {
	Length                    time.Duration
	Writes, Rounds, Delivered int
	P50, P99, Max             time.Duration // from written to in force
	CPU                       []float64     // of each server, of the time; masters first
	Network                   []float64     // likewise
	ReplicaCPU                float64       // of the busiest replica's cores
	LogBytes                  float64       // memory of one master's logs after the retention
	Sent                      float64       // bytes a second, by all servers
	Behind                    bool          // it takes longer and longer
	Limit                     string        // what is used up; empty: nothing is
}

// full is from where on something counts as used up.
const full = 0.97

func (m *model) sumUp() {
	r, length := &m.result, m.cfg.Length.Seconds()
	r.Length = m.cfg.Length
	r.P50, r.P99, r.Max = m.spread.quantile(0.5), m.spread.quantile(0.99), seconds(m.spread.most)
	used := map[string]float64{}
	for i, n := range m.nodes {
		r.CPU = append(r.CPU, n.used/length)
		r.Network = append(r.Network, n.wired/length)
		r.Sent += n.sent / length
		what := "a master's"
		if i >= m.cfg.Masters {
			what = "a relay's"
		}
		used[what+" CPU"] = max(used[what+" CPU"], n.used/length)
		used[what+" network"] = max(used[what+" network"], n.wired/length)
	}
	for _, f := range m.all {
		r.ReplicaCPU = max(r.ReplicaCPU, f.replica.used/length)
	}
	used["a replica's CPU"] = r.ReplicaCPU
	r.LogBytes = m.cfg.WritesPerSecond / float64(m.cfg.Masters) * retention.Seconds() * m.cfg.Costs.LogBytes
	most := full
	for what, share := range used {
		if share > most {
			most, r.Limit = share, what
		}
	}
	// Half a run later it takes longer by a twentieth of the run or more: what
	// cannot be done piles up.
	r.Behind = m.late.value() > m.early.value()+length/20
}

// String is a row of the table in docs/revocation.md.
func (r Result) String() string {
	verdict := "keeps up"
	if r.Limit != "" {
		verdict += ", with " + r.Limit + " used up"
	}
	if r.Behind {
		verdict = "breaks: " + strings.TrimPrefix(r.Limit+" is used up", " ")
	}
	return fmt.Sprintf("p50 %s, p99 %s, max %s | CPU %2.0f %%, network %2.0f %% | %s sent a second | replica's CPU %2.0f %% | log %s | %s",
		short(r.P50), short(r.P99), short(r.Max), 100*most(r.CPU), 100*most(r.Network), bytes(r.Sent), 100*r.ReplicaCPU, bytes(r.LogBytes), verdict)
}

func most(of []float64) (m float64) {
	for _, x := range of {
		m = max(m, x)
	}
	return m
}

func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func bytes(n float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if n < 1000 {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.3g GB", n)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// histogram counts durations, each class two per cent longer than the last.
type histogram struct {
	counts      [1500]int // from a microsecond to hours
	n           int
	least, most float64
}

func (h *histogram) add(s float64) {
	if h.n++; h.n == 1 {
		h.least = s
	}
	h.least, h.most = min(h.least, s), max(h.most, s)
	h.counts[min(int(math.Log(max(s, 1e-6)/1e-6)/math.Log(1.02)), len(h.counts)-1)]++
}

func (h *histogram) quantile(q float64) time.Duration {
	seen, class := 0, 0
	for ; class < len(h.counts) && seen < int(q*float64(h.n)); class++ {
		seen += h.counts[class]
	}
	return seconds(min(h.most, 1e-6*math.Pow(1.02, float64(class))))
}

type mean struct {
	sum float64
	n   int
}

func (m *mean) add(x float64) { m.sum, m.n = m.sum+x, m.n+1 }

func (m *mean) value() float64 { return m.sum / float64(max(1, m.n)) }
