package proxy

import (
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
)

// maxSequence bounds the turns after which a balancer begins again.
const maxSequence = 10_000

// balancer gives out upstreams in turn, by weight, without lock.
type balancer struct {
	sequence []*url.URL
	turn     atomic.Uint32
}

func newBalancer(upstreams []Upstream) (*balancer, error) {
	if len(upstreams) == 0 {
		return nil, errors.New("a route needs an upstream")
	}
	divisor, total := 0, 0
	weights := make([]int, len(upstreams))
	for i, u := range upstreams {
		if u.URL == nil || u.URL.Scheme != "http" && u.URL.Scheme != "https" && u.URL.Scheme != "h2c" || u.URL.Host == "" ||
			*u.URL != (url.URL{Scheme: u.URL.Scheme, Host: u.URL.Host}) {
			return nil, fmt.Errorf("upstream %d: want http://host:port, https://host:port or h2c://host:port and nothing behind", i+1)
		}
		if u.Weight < 0 {
			return nil, fmt.Errorf("upstream %d: the weight is negative", i+1)
		}
		weights[i] = max(u.Weight, 1)
		divisor = gcd(divisor, weights[i])
	}
	for i := range weights {
		weights[i] /= divisor
		if total += weights[i]; total > maxSequence {
			return nil, fmt.Errorf("the weights of the upstreams come to more than %d: use smaller ones", maxSequence)
		}
	}
	b := &balancer{sequence: make([]*url.URL, 0, total)}
	// Each turn goes to the upstream that is furthest behind its share, so that
	// the heavy ones are spread among the light ones.
	behind := make([]int, len(weights))
	for range total {
		next := 0
		for i, w := range weights {
			if behind[i] += w; behind[i] > behind[next] {
				next = i
			}
		}
		behind[next] -= total
		b.sequence = append(b.sequence, upstreams[next].URL)
	}
	return b, nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (b *balancer) next() *url.URL {
	if len(b.sequence) == 1 {
		return b.sequence[0]
	}
	return b.sequence[b.turn.Add(1)%uint32(len(b.sequence))]
}
