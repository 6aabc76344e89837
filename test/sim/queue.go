package sim

import "container/heap"

// event is something that happens at a time, in seconds.
type event struct {
	at float64
	do func(at float64)
}

// queue is what will happen, in its order.
type queue []event

func (q *queue) at(at float64, do func(at float64)) {
	heap.Push(q, event{at: at, do: do})
}

// Len implements heap.Interface, as do the others.
func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push takes an event.
func (q *queue) Push(x any) { *q = append(*q, x.(event)) }

// Pop returns the last.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
