package sim

import (
	"math/rand/v2"
	"time"
)

// Costs are what things cost; bytes are of payload.
type Costs struct {
	Write        time.Duration // of a server: the script of one revocation
	Copy         time.Duration // of a relay: what a master tells it of that
	Round        time.Duration // of a server: one follower's XREAD, and what it asks after that
	Entry        time.Duration // of a server: one entry more in the answer
	Apply        time.Duration // of a replica: one entry
	ReplicaRound time.Duration // of a replica: one round
	EntryBytes   float64       // sent for one entry
	RoundBytes   float64       // sent for one round, beside the entries
	LogBytes     float64       // memory of one entry in the log
	ListBytes    float64       // memory of one entry in the list
	NetworkBytes float64       // that a server can send in a second
}

// Measured is what TestReality printed on a virtual machine with two cores that
// had other work as well, with Redis 7.0. The network is one of 10 Gbit/s.
var Measured = Costs{
	Write: 27 * time.Microsecond, Copy: 8 * time.Microsecond, Round: 34 * time.Microsecond, Entry: 550 * time.Nanosecond,
	Apply: 2300 * time.Nanosecond, ReplicaRound: 60 * time.Microsecond,
	EntryBytes: 120, RoundBytes: 210, LogBytes: 73, ListBytes: 230, NetworkBytes: 1.25e9,
}

// Delay is how long a message is under way: at least Least, and now and then
// much longer.
type Delay struct {
	Least time.Duration
	Mean  time.Duration // of what comes on top, which is distributed exponentially
}

// The networks between replicas and servers.
var (
	Loopback = Delay{Least: 15 * time.Microsecond, Mean: 15 * time.Microsecond}
	Zone     = Delay{Least: 100 * time.Microsecond, Mean: 50 * time.Microsecond} // one data centre
)

func (d Delay) seconds(r *rand.Rand) float64 {
	return d.Least.Seconds() + r.ExpFloat64()*d.Mean.Seconds()
}
