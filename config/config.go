package config

import "net/netip"

// Config is one gateway.yaml with its defaults filled in. It is not changed
// after Load.
type Config struct {
	Server       Server        `yaml:"server" doc:"The data listener: what clients connect to."`
	Admin        Admin         `yaml:"admin" doc:"The admin listener: probes, metrics and the admin API."`
	Store        Store         `yaml:"store" doc:"Where revocations and keys made at run time are kept."`
	Revocation   Revocation    `yaml:"revocation" doc:"How each replica treats its copy of the revocation list."`
	APIKeys      APIKeys       `yaml:"api_keys" doc:"The client applications that are let in."`
	Issuers      []Issuer      `yaml:"issuers" doc:"Whose bearer tokens are accepted."`
	Defaults     RouteDefaults `yaml:"defaults" doc:"What routes have that do not say otherwise: any field of a route but name and match. A route's own key replaces the default, lists as a whole; the keys of require and forward count one by one."`
	Routes       []Route       `yaml:"routes" doc:"What is forwarded where, and on what terms. A request that no route matches is answered 404."`
	TokenService *TokenService `yaml:"token_service" doc:"Token endpoints for those who have no auth service: one engine, several dialects. Absent, or {}: none."`
	Log          Log           `yaml:"log" doc:"What is written to standard error."`

	source
}

// Server is the data listener.
type Server struct {
	Listen            string         `yaml:"listen" default:"127.0.0.1:8080" doc:"Address to listen on, host:port. An empty host is all interfaces, port 0 any free port."`
	TLS               TLS            `yaml:"tls" doc:"With a certificate the listener speaks TLS only: 1.2 and 1.3, HTTP/1.1 and HTTP/2. The files are read again when they change."`
	H2C               bool           `yaml:"h2c" default:"false" doc:"Without TLS: let clients speak HTTP/2 that know beforehand that they can, as gRPC clients in a cluster do. An upgrade to h2c is never allowed."`
	MaxConnections    int            `yaml:"max_connections" default:"10000" min:"0" max:"1000000" doc:"Connections that are open at once. More wait, unanswered, until one ends; a warning says so. 0: as many as the process may have files. Over HTTP/2 each connection has at most 100 requests at once."`
	ReadHeaderTimeout Duration       `yaml:"read_header_timeout" default:"5s" min:"100ms" max:"10m" doc:"Time for a request's header, from the connection's first moment, also when nothing is sent."`
	IdleTimeout       Duration       `yaml:"idle_timeout" default:"120s" min:"1s" max:"1h" doc:"How long a connection is kept between requests."`
	BodyIdleTimeout   Duration       `yaml:"body_idle_timeout" default:"30s" min:"1s" max:"1h" doc:"A request whose body makes no progress for this long is answered 408."`
	MaxHeaderBytes    Size           `yaml:"max_header_bytes" default:"32KiB" min:"1KiB" max:"1MiB" doc:"Largest request header; more is answered 431. Independent of it: at most 100 header lines and 8 KiB of query."`
	MaxBodyBytes      Size           `yaml:"max_body_bytes" default:"10MiB" doc:"Largest request body; more is answered 413. 0: no limit."`
	DrainTimeout      Duration       `yaml:"drain_timeout" default:"20s" max:"1h" doc:"After SIGTERM: time for requests under way. 0: they are cut off."`
	DrainDelay        Duration       `yaml:"drain_delay" default:"0s" max:"10m" doc:"After SIGTERM: how long new connections are still accepted, for load balancers to notice that /readyz says 503."`
	TrustedProxies    []netip.Prefix `yaml:"trusted_proxies" doc:"Networks (CIDR) of proxies in front whose X-Forwarded-* and X-Request-Id are believed. Nobody's are by default."`
}

// TLS is the certificate of a listener, and who must show one to it.
type TLS struct {
	CertFile     File   `yaml:"cert_file" doc:"Certificate chain in PEM."`
	KeyFile      File   `yaml:"key_file" private:"true" doc:"The certificate's private key in PEM."`
	ClientCAFile File   `yaml:"client_ca_file" doc:"Authorities in PEM. With them a client must show a certificate that one of them signed."`
	ClientAuth   string `yaml:"client_auth" default:"require" oneof:"require,optional" doc:"optional: a client may do without a certificate, and routes that need one say so by require. One that is shown must be good all the same."`
}

// Admin is the admin listener.
type Admin struct {
	Listen    string `yaml:"listen" default:"127.0.0.1:9090" doc:"Address of /livez, /readyz, /metrics and the admin API, host:port."`
	Token     Secret `yaml:"token" doc:"Bearer token of the admin API. Without token and token_file the API is off; probes and metrics stay."`
	TokenFile File   `yaml:"token_file" private:"true" doc:"File with that token, less one trailing line end."`
}

// Store is where revocations and keys made at run time are kept.
type Store struct {
	URL              StoreURL  `yaml:"url" default:"file:gatehouse.db" doc:"file:PATH (embedded and durable), memory: (for tests), redis://[user:password@]host:6379/0, redis+sentinel://[user:password@]host:26379,host:26379/0?master=NAME or redis+cluster://[user:password@]host:6379,host:6379; rediss instead of redis in front is TLS. Take a password from a file with ${file:…}."`
	Timeout          Duration  `yaml:"timeout" default:"200ms" min:"1ms" max:"1m" doc:"Time for one operation. No request waits for the store, but where revocation.max_memory has it asked; writes and the feed do."`
	WaitReplicas     int       `yaml:"wait_replicas" default:"0" min:"0" max:"16" doc:"How many Redis replicas must have a revocation before it is acknowledged. 0: none."`
	WaitTimeout      Duration  `yaml:"wait_timeout" default:"100ms" min:"1ms" max:"1m" doc:"Time for those replicas to answer."`
	RevocationShards int       `yaml:"revocation_shards" default:"1" min:"1" max:"64" doc:"In how many parts the revocation list is kept in Redis, so that the masters of a cluster share it: 1, 2, 4, 8, 16, 32 or 64. The same for all replicas, and fixed once a list has begun: see docs/revocation.md. A file and memory have one."`
	TLS              ClientTLS `yaml:"tls" doc:"How a Redis is spoken to whose URL begins with rediss. The authorities are read at the start, the certificate for each connection."`
}

// Revocation is how a replica treats its copy of the revocation list.
type Revocation struct {
	MaxStaleness Duration `yaml:"max_staleness" default:"5s" min:"100ms" max:"24h" doc:"Age at which a replica's copy of the revocation list is no longer trusted."`
	WhenStale    string   `yaml:"when_stale" default:"deny" oneof:"deny,allow" doc:"What then happens to tokens and keys that the copy does not know to be revoked: deny answers 503, allow lets them through."`
	MaxMemory    Size     `yaml:"max_memory" default:"0" doc:"Bound on what the list takes in memory, at least 1MiB. When it needs more than half, a filter of ten bits or so stands for each entry, and the store is asked about tokens that it is unsure of, one in a hundred: see docs/revocation.md. 0: no bound, every entry is kept."`
}

// Log is what is written to standard error.
type Log struct {
	Level  string `yaml:"level" default:"info" oneof:"debug,info,warn,error" doc:"Least level that is written."`
	Format string `yaml:"format" default:"json" oneof:"json,text" doc:"Form of the lines."`
	Access bool   `yaml:"access" default:"true" doc:"One line for each request."`
}
