package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// redisScheme is what a scheme of store.url stands for.
type redisScheme struct {
	port              string // where none is written
	tls               bool
	sentinel, cluster bool
}

var redisSchemes = map[string]redisScheme{
	"redis":           {port: "6379"},
	"rediss":          {port: "6379", tls: true},
	"redis+sentinel":  {port: "26379", sentinel: true},
	"rediss+sentinel": {port: "26379", sentinel: true, tls: true},
	"redis+cluster":   {port: "6379", cluster: true},
	"rediss+cluster":  {port: "6379", cluster: true, tls: true},
}

// redisOptions reads a URL of one of redisSchemes. Its errors repeat nothing
// of it, because it may hold a password.
func redisOptions(raw string) (*redis.UniversalOptions, error) {
	name, rest, _ := strings.Cut(raw, "://")
	scheme, known := redisSchemes[name]
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	at := strings.LastIndex(authority, "@")
	// net/url knows no list of hosts, so it is given none.
	u, err := url.Parse("redis://" + authority[:at+1] + "host" + tail)
	if !known || err != nil || u.Fragment != "" {
		return nil, errors.New("store.url: not a URL; percent-encode special characters of the password")
	}
	opts := &redis.UniversalOptions{Username: u.User.Username(), IsClusterMode: scheme.cluster}
	opts.Password, _ = u.User.Password()
	if opts.Addrs, err = addresses(authority[at+1:], scheme); err != nil {
		return nil, err
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		if opts.DB, err = strconv.Atoi(path); err != nil || opts.DB < 0 {
			return nil, errors.New("store.url: what follows the / is the number of a database, such as 0")
		}
	}
	opts.MasterName = u.Query().Get("master")
	switch {
	case scheme.cluster && opts.DB != 0:
		return nil, errors.New("store.url: a cluster has only database 0")
	case scheme.sentinel != (opts.MasterName != ""):
		return nil, errors.New("store.url: redis+sentinel:// needs ?master=NAME, and only it has one")
	case len(u.Query()) > 1 || len(u.Query()) == 1 && opts.MasterName == "":
		return nil, errors.New("store.url: master is the only query parameter that is known")
	}
	if scheme.tls {
		opts.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return opts, nil
}

func addresses(hosts string, scheme redisScheme) ([]string, error) {
	list := strings.Split(hosts, ",")
	if len(list) > 1 && !scheme.sentinel && !scheme.cluster {
		return nil, errors.New("store.url: several hosts need redis+sentinel:// or redis+cluster://")
	}
	for i, h := range list {
		u, err := url.Parse("redis://" + h)
		if err != nil || u.Hostname() == "" || strings.ContainsAny(u.Hostname(), "[]") || u.Host != h || strings.Contains(u.Hostname(), ":") != strings.HasPrefix(h, "[") {
			return nil, fmt.Errorf("store.url: host %d is not HOST or HOST:PORT", i+1)
		}
		port := u.Port()
		if port == "" {
			port = scheme.port
		}
		list[i] = net.JoinHostPort(u.Hostname(), port)
	}
	return list, nil
}

// newClient returns a client of which every exchange is bounded, and which
// runs each command once: the feed and the callers repeat what failed, and
// know when to stop. Connected is called for each connection that it makes.
func newClient(cfg Config, connected func(context.Context, *redis.Conn) error) (redis.UniversalClient, error) {
	opts, err := redisOptions(cfg.URL)
	if err != nil {
		return nil, err
	}
	if opts.TLSConfig != nil && cfg.TLS != nil {
		opts.TLSConfig = cfg.TLS.Clone()
		opts.TLSConfig.MinVersion = tls.VersionTLS12
	}
	opts.Protocol = 2 // no pushed messages among the replies
	opts.DialTimeout = cfg.Timeout
	opts.ReadTimeout = cfg.Timeout + cfg.WaitTimeout
	opts.WriteTimeout = cfg.Timeout
	opts.PoolTimeout = cfg.Timeout
	opts.ContextTimeoutEnabled = true // otherwise a deadline does not reach the socket
	opts.MaxRetries = -1              // a lost reply would run the command again
	opts.DialerRetries = 1
	opts.PoolSize = 7 + cfg.Shards // writes and look-ups are short; each shard's follower has one to itself, perhaps all at one server
	opts.MaxActiveConns = 4 * opts.PoolSize
	opts.PipelinePoolSize = -1
	opts.DisableIdentity = true // CVE-2025-29923, and one right less
	opts.OnConnect = connected
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	logging.Disable() // for the whole process: what it would print comes back as errors
	client := redis.NewUniversalClient(opts)
	addRedialling(client)
	return client, nil
}
