package revocation

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gatehouse/auth"
)

// BenchmarkReadWhileWritten is the time of single look-ups among a million
// entries, while a writer puts new ones without a pause, sweeps those that are
// over, and tables come and go. `idle` is the same without the writer, and `elsewhere`
// with one that is as busy with another mirror: what the scheduler and the garbage
// collector do to a reader whatever is written.
func BenchmarkReadWhileWritten(b *testing.B) {
	for _, c := range []struct {
		name             string
		write, elsewhere bool
	}{{"idle", false, false}, {"written", true, false}, {"elsewhere", true, true}} {
		b.Run(c.name, func(b *testing.B) {
			m, keys := NewMirror(MirrorConfig{}), make([]auth.RevocationKey, 1_000_000)
			for i := range keys {
				r := session(i, time.Hour)
				m.Put(r, t0)
				keys[i] = r.Key()
			}
			written := m
			if c.elsewhere {
				written = NewMirror(MirrorConfig{})
			}
			stop, stopped := make(chan struct{}), make(chan int)
			go func() {
				wrote := 0
				for now := t0; c.write; now = now.Add(time.Second / 1000) {
					select {
					case <-stop:
						stopped <- wrote
						return
					default:
					}
					for range 100 { // 100,000 in each second of the entries' clock
						r := session(-1-wrote, 0)
						r.Until = now.Add(3 * time.Second)
						written.Put(r, now)
						wrote++
					}
					written.Sweep(sweepPart, now)
				}
				<-stop
				stopped <- 0
			}()
			took := make([]time.Duration, 0, 5_000_000)
			for b.Loop() {
				took = took[:0]
				for i := range cap(took) {
					began := time.Now()
					if m.Covers(auth.KindSession, keys[i%len(keys)], 0, t0.Unix()) != auth.Covered {
						b.Fatal("an entry is missing")
					}
					took = append(took, time.Since(began))
				}
			}
			close(stop)
			b.ReportMetric(float64(<-stopped)/b.Elapsed().Seconds(), "writes/s")
			slices.Sort(took)
			for name, at := range map[string]float64{"p50-ns": 0.5, "p99.99-ns": 0.9999, "max-ns": 1} {
				b.ReportMetric(float64(took[int(at*float64(len(took)-1))]), name)
			}
		})
	}
}

// BenchmarkTenMillion is a mirror of 32 MiB with ten million entries: how often
// its filter is mistaken, and look-ups.
func BenchmarkTenMillion(b *testing.B) {
	const entries, bytes = 10_000_000, 32 << 20
	m, _ := narrowMirror(bytes)
	s, rnd := m.sieve.Load(), rand.New(rand.NewPCG(1, 3))
	for range entries {
		s.put(auth.RevocationKey{}, rnd.Uint64(), rnd.Uint64()&^kindMask|uint64(auth.KindSession), uint64(auth.Always)<<32|uint64(t0.Unix()+3600), false)
	}
	mistaken, keys := 0, make([]auth.RevocationKey, 1_000_000)
	for i := range keys {
		keys[i] = session(i, 0).Key()
		if m.Covers(auth.KindSession, keys[i], 0, t0.Unix()) == auth.Unsure {
			mistaken++
		}
	}
	i := 0
	for b.Loop() {
		if i++; i == len(keys) {
			i = 0
		}
		m.Covers(auth.KindSession, keys[i], 0, t0.Unix())
	}
	b.ReportMetric(100*float64(mistaken)/float64(len(keys)), "%mistaken")
	b.ReportMetric(float64(len(s.filter.Load().blocks)*blockBytes*8)/entries, "bits/entry")
	b.ReportMetric(float64(len(s.filter.Load().blocks)*blockBytes+len(s.answers.sets)*len(answerSet{})*answerBytes)/(1<<20), "MiB")
}
