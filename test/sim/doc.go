// Package sim is a model of how revocations spread: writers, the masters of a
// Redis Cluster, the shards of the list on them, and replicas that follow each
// shard in rounds. It works in virtual time, says what becomes of designs and
// sizes that nobody can try on one machine, and where they break. What
// operations cost is measured on a real Redis by its tests, which also hold it
// to what a few real followers see. It imports nothing of ours and starts no
// goroutines.
package sim
