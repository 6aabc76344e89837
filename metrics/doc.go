// Package metrics holds every number that gatehouse shows to Prometheus.
//
// What is counted on the request path is plain atomics in a [Route], which is
// bound to a route's name before the first request; the names and label values
// become series when somebody scrapes. So counting takes no lock and no
// memory, and a route that a reload took away takes its series along
// ([Metrics.Retain]).
//
// Label values come from closed sets: names from the configuration, the
// store's operations, auth.Reasons, auth.Kinds, auth.RenewResults, and the
// tables of labels.go. Nothing of a request becomes one. A route has at most 34
// series of durations, one for each reason that occurred, and one for each pair
// of method and status that occurred: in practice 60 in all, so that 30 routes
// stay below 2,000.
//
// The package may import auth. It is the only one that knows client_golang, and
// it has a registry of its own. It starts no goroutine.
package metrics
