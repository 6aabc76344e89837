package config

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// validator checks what a config means, as far as that needs no key material.
type validator struct {
	*Config
	decoded  Problems // what was found before; it is not reported again in other words
	problems Problems
	names    map[string]string // paths of the names of routes and endpoints, which API keys name alike
}

// validate returns what is wrong with the config beyond what decoding found.
func (c *Config) validate(decoded Problems) Problems {
	v := &validator{Config: c, decoded: decoded, names: map[string]string{}}
	v.server()
	v.store()
	v.apiKeys()
	v.issuers()
	v.routes()
	if c.TokenService != nil {
		v.tokenService(c.TokenService)
	}
	return v.problems
}

// fault notes a problem, unless the value at path, one in it, or one that it is
// in could not be read in the first place.
func (v *validator) fault(path, format string, args ...any) {
	for _, p := range v.decoded {
		if within(p.Path, path) || within(path, p.Path) {
			return
		}
	}
	v.problems = append(v.problems, v.Problem(path, format, args...))
}

// broken reports whether something in the value at path could not be read, so
// that what is missing in it means nothing.
func (v *validator) broken(path string) bool {
	return slices.ContainsFunc(v.decoded, func(p Problem) bool { return within(p.Path, path) })
}

// within reports whether path is outer or something in it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func (v *validator) server() {
	v.address("server.listen", v.Server.Listen)
	v.address("admin.listen", v.Admin.Listen)
	if v.Server.Listen == v.Admin.Listen && !strings.HasSuffix(v.Admin.Listen, ":0") {
		v.fault("admin.listen", "is the address of server.listen too: probes and the admin API have a listener of their own")
	}
	for i, network := range v.Server.TrustedProxies {
		path := fmt.Sprintf("server.trusted_proxies[%d]", i)
		switch {
		case !network.IsValid():
			v.fault(path, "is empty")
		case network != network.Masked():
			v.fault(path, "has bits set beyond its prefix length")
		}
	}
	tls := v.Server.TLS
	v.pair("server.tls", tls.CertFile, tls.KeyFile)
	switch {
	case tls.CertFile == "" && tls.KeyFile == "" && tls.ClientCAFile != "":
		v.fault("server.tls.client_ca_file", "needs cert_file and key_file: without TLS no client can show a certificate")
	case tls.ClientCAFile == "" && tls.ClientAuth == "optional":
		v.fault("server.tls.client_auth", "needs client_ca_file: say whose certificates are good")
	}
	if tls.CertFile != "" && v.Server.H2C {
		v.fault("server.h2c", "is for a listener without TLS: with it clients agree on HTTP/2 by themselves")
	}
	if v.Admin.Token != "" && v.Admin.TokenFile != "" {
		v.fault("admin.token_file", "token is set too: keep one of the two")
	}
}

func (v *validator) address(path, address string) {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		v.fault(path, "is not an address such as 127.0.0.1:8080 or :8080")
	}
}

// minListBytes is the least that a bounded revocation list is of use in.
const minListBytes Size = 1 << 20

// redisSchemes are the schemes of a store that other replicas share.
var redisSchemes = []string{"redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}

// storeURL checks the store's address and returns its scheme, which is empty
// where nothing can be told from it.
func (v *validator) storeURL() string {
	const path = "store.url"
	if v.broken(path) {
		return ""
	}
	scheme, rest, _ := strings.Cut(v.Store.URL.Reveal(), ":")
	switch {
	case scheme == "file":
		v.storeFile(rest)
	case scheme == "memory":
		if rest != "" {
			v.fault(path, "memory: stands alone")
		}
	case !slices.Contains(redisSchemes, scheme):
		v.fault(path, "must begin with file:, memory:, redis://, rediss://, redis+sentinel:// or redis+cluster://")
		return ""
	default:
		v.redisURL(path, scheme, rest)
	}
	return scheme
}

// redisURL checks the hosts of a Redis, which stand behind the last @: what is
// before it is a password and may have any character.
func (v *validator) redisURL(path, scheme, rest string) {
	authority, found := strings.CutPrefix(rest, "//")
	address := authority[strings.LastIndexByte(authority, '@')+1:]
	hosts, _, _ := strings.Cut(address, "?")
	hosts, _, _ = strings.Cut(hosts, "/")
	if !found || hosts == "" || hosts[0] == '#' {
		v.fault(path, "names no host, as in %s://127.0.0.1:6379", scheme)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if port := host[strings.LastIndexByte(host, ']')+1:]; strings.Contains(port, ":") {
			if _, err := strconv.ParseUint(port[strings.LastIndexByte(port, ':')+1:], 10, 16); err != nil {
				v.fault(path, "has a port that is not a number up to 65535")
			}
		}
	}
	if strings.HasSuffix(scheme, "+sentinel") && !strings.Contains(address, "master=") {
		v.fault(path, "needs ?master=NAME, the name by which the sentinels know the master")
	}
}

func (v *validator) store() {
	scheme := v.storeURL()
	alone := scheme == "file" || scheme == "memory"
	if v.Store.WaitReplicas > 0 && alone {
		v.fault("store.wait_replicas", "is for Redis: this store has no replicas")
	}
	switch n := v.Store.RevocationShards; {
	case n > 1 && alone:
		v.fault("store.revocation_shards", "is for Redis: this store has one shard")
	case n&(n-1) != 0:
		v.fault("store.revocation_shards", "must be 1, 2, 4, 8, 16, 32 or 64")
	}
	if m := v.Revocation.MaxMemory; m != 0 && m < minListBytes {
		v.fault("revocation.max_memory", "must be 0 or at least %s", minListBytes)
	}
	if v.Store.TLS != (ClientTLS{}) && scheme != "" && !strings.HasPrefix(scheme, "rediss") {
		v.fault("store.tls", "is for a store.url that begins with rediss")
	}
	v.clientTLS("store.tls", v.Store.TLS)
}

// storeFile makes the path of the embedded store absolute.
func (v *validator) storeFile(path string) {
	path = strings.TrimPrefix(path, "//") // file:///var/lib, as file managers write it
	if path == "" {
		v.fault("store.url", "names no file, as in file:gatehouse.db")
		return
	}
	path = v.resolve(path)
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		v.fault("store.url", "the folder of the file does not exist")
	}
	v.Store.URL = StoreURL("file:" + path)
}

func (v *validator) apiKeys() {
	v.header("api_keys.header", v.APIKeys.Header)
	seen := map[Hash]string{} // path of the key with that hash
	for i, key := range v.APIKeys.Keys {
		path := fmt.Sprintf("api_keys.keys[%d]", i)
		v.name(path+".id", key.ID)
		switch first, again := seen[key.SHA256]; {
		case key.SHA256 == sha256.Sum256(nil):
			v.fault(path+".sha256", "is the hash of an empty key: hash the key itself, with gatehouse key hash")
		case again:
			v.fault(path+".sha256", "is the hash of %s too: a key is entered once", v.line(first))
		default:
			seen[key.SHA256] = path
		}
		v.references(path+".routes", key.Routes, "routes", "route", "opens no route: remove the key to open all")
	}
}

// references checks a list of names against those of the items of another list.
// An empty list could mean all or none, and is refused.
func (v *validator) references(path string, names []string, list, noun, whenEmpty string) {
	if names != nil && len(names) == 0 {
		v.fault(path, "%s", whenEmpty)
	}
	known, ok := v.known(list)
	if !ok {
		return
	}
	for i, name := range names {
		if !slices.Contains(known, name) {
			v.fault(fmt.Sprintf("%s[%d]", path, i), "no %s has that name%s", noun, suggest(name, known))
		}
	}
}

// known returns the names of the items of a list; ok is false when part of it
// could not be read.
func (v *validator) known(list string) (names []string, ok bool) {
	ok = !v.broken(list)
	switch list {
	case "routes":
		for _, r := range v.Routes {
			names = append(names, r.Name)
		}
		if v.TokenService != nil { // whose endpoints are named like routes
			ok = ok && !v.broken("token_service.endpoints")
			for _, e := range v.TokenService.Endpoints {
				names = append(names, e.Name)
			}
		}
	case "issuers":
		for _, is := range v.Issuers {
			names = append(names, is.Name)
		}
	}
	return names, ok
}

const nameBytes = 128

// name checks a name that the user has chosen. It becomes a metric label, a log
// field and a part of URLs.
func (v *validator) name(path, name string) {
	odd := strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("-._:@", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if odd || name == "" || len(name) > nameBytes {
		v.fault(path, "must be 1 to %d letters, digits and - . _ : @", nameBytes)
	}
}

// unique checks that names, which stand at those paths, differ.
func (v *validator) unique(seen map[string]string, name, path string) {
	if first, again := seen[name]; again && name != "" {
		v.fault(path, "is the name of %s too", v.line(first))
		return
	}
	seen[name] = path
}

// filled checks that no string of a list is empty.
func (v *validator) filled(path string, list []string) {
	for i, s := range list {
		if s == "" {
			v.fault(fmt.Sprintf("%s[%d]", path, i), "is empty")
		}
	}
}
