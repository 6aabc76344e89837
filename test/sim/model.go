package sim

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// batch is how many entries a follower asks for at most.
const batch = 1000

// samples is of how many deliveries the delay is looked at, about.
const samples = 2e6

// Config says what is modelled.
type Config struct {
	Replicas        int
	Shards          int
	Masters         int           // shards are dealt out to them in turn
	Relays          int           // copies of each master that replicas read from; 0: they read from the master
	Pause           time.Duration // of a follower between two rounds; 0: none, as it is today
	WritesPerSecond float64       // over all shards, at random times
	Cores           int           // of a replica, for following; 0: 1
	Length          time.Duration // for which is written; then all that was written is delivered
	Seed            uint64
	Costs           Costs
	Delay           Delay
}

// node is a server: it does one thing at a time, in the order in which it is
// asked.
type node struct {
	free, used     float64 // seconds: when it has nothing more to do; how long it worked while was written
	sending, wired float64 // the same of its network
	sent           float64 // bytes, in all
}

// shardCopy is a shard on a node: of each entry, when it was written at the
// master. Parked are the followers that have all of it.
type shardCopy struct {
	node   *node
	log    []float64
	parked []*follower
	relays []*shardCopy // of a master's
}

// follower is one replica's reading of one shard.
type follower struct {
	replica *replica
	from    *shardCopy
	next    int // entry to be read
}

type replica struct{ free, used float64 }

// model is one run.
type model struct {
	cfg     Config
	random  *rand.Rand
	queue   queue
	nodes   []*node // masters, then relays
	masters []*shardCopy
	all     []*follower
	result  Result
	stride  int // of so many deliveries one is looked at, and every one that is impossible
	looked  int
	spread  histogram
	early   mean // delay of what was written in the second quarter
	late    mean // in the last
}

// Run runs the model to the end, which is when every replica has every entry.
// The error says what is wrong with the configuration.
func Run(cfg Config) (Result, error) {
	if cfg.Replicas < 1 || cfg.Shards < 1 || cfg.Masters < 1 || cfg.Relays < 0 || cfg.WritesPerSecond <= 0 || cfg.Length <= 0 {
		return Result{}, errors.New("sim: Replicas, Shards, Masters, WritesPerSecond and Length must be above 0")
	}
	cfg.Cores = max(1, cfg.Cores)
	deliveries := cfg.WritesPerSecond * cfg.Length.Seconds() * float64(cfg.Replicas)
	m := &model{cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 0)), stride: max(1, int(deliveries/samples))}
	m.build()
	for i := range m.masters {
		m.write(0, m.masters[i])
	}
	for _, f := range m.all {
		m.ask(0, f)
	}
	for len(m.queue) > 0 {
		e := heap.Pop(&m.queue).(event)
		e.do(e.at)
	}
	return m.finish()
}

func (m *model) build() {
	for range m.cfg.Masters * (1 + m.cfg.Relays) {
		m.nodes = append(m.nodes, &node{})
	}
	for i := range m.cfg.Shards {
		c := &shardCopy{node: m.nodes[i%m.cfg.Masters]}
		for r := range m.cfg.Relays {
			c.relays = append(c.relays, &shardCopy{node: m.nodes[(1+r)*m.cfg.Masters+i%m.cfg.Masters]})
		}
		m.masters = append(m.masters, c)
	}
	for i := range m.cfg.Replicas {
		r := &replica{}
		for _, c := range m.masters {
			if m.cfg.Relays > 0 {
				c = c.relays[i%m.cfg.Relays]
			}
			m.all = append(m.all, &follower{replica: r, from: c})
		}
	}
}

// work lets a node do something that it was asked at a time, and returns when
// it is done.
func (m *model) work(at float64, n *node, cost float64) float64 {
	began := max(at, n.free)
	n.free = began + cost
	n.used += m.share(began, cost)
	return n.free
}

// share is how much of something that began at a time counts: what is done
// while was written.
func (m *model) share(began, cost float64) float64 {
	return max(0, min(cost, m.cfg.Length.Seconds()-began))
}

// send returns when bytes that are ready at a time have arrived elsewhere.
func (m *model) send(at float64, n *node, bytes float64) float64 {
	began, took := max(at, n.sending), bytes/m.cfg.Costs.NetworkBytes
	n.sending = began + took
	n.wired += m.share(began, took)
	n.sent += bytes
	return n.sending + m.cfg.Delay.seconds(m.random)
}

// write writes an entry some time after another, and the next one after that.
func (m *model) write(after float64, c *shardCopy) {
	at := after + m.random.ExpFloat64()*float64(m.cfg.Shards)/m.cfg.WritesPerSecond
	if at > m.cfg.Length.Seconds() {
		return
	}
	m.queue.at(at, func(at float64) {
		m.result.Writes++
		written := m.work(at, c.node, m.cfg.Costs.Write.Seconds())
		m.add(c, written)
		for _, relay := range c.relays {
			m.queue.at(m.send(written, c.node, m.cfg.Costs.EntryBytes), func(at float64) {
				m.work(at, relay.node, m.cfg.Costs.Copy.Seconds())
				m.add(relay, written)
			})
		}
		m.write(at, c)
	})
}

// add puts an entry into a log and answers those that wait for one.
func (m *model) add(c *shardCopy, written float64) {
	c.log = append(c.log, written)
	waiting := c.parked
	c.parked = nil
	for _, f := range waiting {
		m.answer(c.node.free, f)
	}
}

// ask has a follower ask for what comes next.
func (m *model) ask(at float64, f *follower) {
	m.queue.at(at+m.cfg.Delay.seconds(m.random), func(at float64) {
		if f.next == len(f.from.log) {
			f.from.parked = append(f.from.parked, f)
			return
		}
		m.answer(at, f)
	})
}

// answer sends a follower what it has not read, a batch at most.
func (m *model) answer(at float64, f *follower) {
	first := f.next
	f.next = min(len(f.from.log), first+batch)
	n := float64(f.next - first)
	c := m.cfg.Costs
	ready := m.work(at, f.from.node, c.Round.Seconds()+n*c.Entry.Seconds())
	m.queue.at(m.send(ready, f.from.node, c.RoundBytes+n*c.EntryBytes), func(at float64) { m.apply(at, f, first, int(n)) })
}

// apply puts n entries into force in a replica, which then sees after the log
// and asks again: a round trip, and one way.
func (m *model) apply(at float64, f *follower, first, n int) {
	c, r := m.cfg.Costs, f.replica
	began, took := max(at, r.free), c.ReplicaRound.Seconds()+float64(n)*c.Apply.Seconds()
	r.free = began + took/float64(m.cfg.Cores)
	r.used += m.share(began, took/float64(m.cfg.Cores))
	m.result.Rounds++
	m.result.Delivered += n
	inForce := began + took
	for i := first; i < first+n; i++ {
		if m.looked++; m.looked%m.stride == 0 || inForce <= f.from.log[i] {
			m.note(f.from.log[i], inForce)
		}
	}
	pause := m.cfg.Pause.Seconds()
	m.ask(inForce+pause+m.cfg.Delay.seconds(m.random)+m.cfg.Delay.seconds(m.random), f)
}

func (m *model) note(written, inForce float64) {
	took := inForce - written
	m.spread.add(took)
	switch quarter := 4 * written / m.cfg.Length.Seconds(); {
	case quarter >= 1 && quarter < 2:
		m.early.add(took)
	case quarter >= 3:
		m.late.add(took)
	}
}

// finish checks what must be true of every run, and sums up.
func (m *model) finish() (Result, error) {
	for _, f := range m.all {
		if f.next != len(f.from.log) {
			return m.result, fmt.Errorf("sim: a replica has %d of %d entries", f.next, len(f.from.log))
		}
	}
	if m.result.Delivered != m.result.Writes*m.cfg.Replicas {
		return m.result, fmt.Errorf("sim: %d entries were delivered of %d to %d replicas", m.result.Delivered, m.result.Writes, m.cfg.Replicas)
	}
	if m.spread.least <= 0 {
		return m.result, errors.New("sim: an entry was in force before it was written")
	}
	m.sumUp()
	return m.result, nil
}
