package config

import "time"

// APIKeys are the client applications that are let in.
type APIKeys struct {
	Header string   `yaml:"header" default:"Api-Key" doc:"Request header that carries the key. It never reaches an upstream."`
	Keys   []APIKey `yaml:"keys" doc:"The keys, by their hashes. Keys made by the admin API come on top of them."`
}

// APIKey is one key of a client application.
type APIKey struct {
	ID       string    `yaml:"id" required:"is missing: name the client application" example:"web-app" doc:"What logs, metrics and upstreams see. Several entries may share it: that is how a key is rotated."`
	SHA256   Hash      `yaml:"sha256" required:"is missing: gatehouse key new makes a key and prints it" example:"\"64 hex digits\"" doc:"Hex SHA-256 of the key; gatehouse key new and gatehouse key hash print it."`
	NotAfter time.Time `yaml:"not_after" example:"2027-01-01T00:00:00Z" doc:"When the key ends, as in 2027-01-01T00:00:00Z. Absent: never."`
	Routes   []string  `yaml:"routes" example:"[orders]" doc:"Names of the routes that it opens, and of endpoints of the token service. Absent: all."`
}
