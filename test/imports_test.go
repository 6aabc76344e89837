package test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "gatehouse"

// layer is a package of ours and those of ours that it may import.
type layer struct {
	pkg string
	may []string
	why string
}

// layers goes from the top of the house down. Tests may import more.
var layers = []layer{
	{".", []string{"cli"}, "the program is cli.Main and nothing else"},
	{"cli", []string{"gateway", "admin", "proxy", "proxy/wire", "auth", "auth/revocation", "auth/keyset", "auth/token", "auth/users", "store", "config", "metrics"}, "nothing is above the command line"},
	{"gateway", []string{"admin", "proxy", "proxy/wire", "auth", "auth/revocation", "auth/keyset", "auth/introspection", "auth/token", "auth/endpoint", "auth/users", "store", "config", "metrics"}, "the composition root knows everything but who called it"},
	{"admin", []string{"auth", "auth/token"}, "it sees the process through interfaces, so that it can be tested without one"},
	{"proxy", []string{"auth", "proxy/wire", "proxy/transport"}, "what forwards a request knows no configuration, store or metric library"},
	{"proxy/wire", []string{"auth", "proxy/field"}, "it knows of reasons and nothing else"},
	{"proxy/transport", []string{"proxy/field"}, "it moves bytes and knows nobody"},
	{"proxy/field", nil, "it looks at bytes"},
	{"auth", nil, "the core depends on nothing that it could be blamed for"},
	{"auth/revocation", []string{"auth"}, "a mirror is fed by a store and does not know which"},
	{"auth/keyset", []string{"auth", "auth/outbound"}, "keys are read for the core"},
	{"auth/introspection", []string{"auth", "auth/outbound"}, "tokens are asked about for the core"},
	{"auth/outbound", nil, "it asks whom it is told to and knows nobody"},
	{"auth/token", []string{"auth"}, "the engine knows no wire format, no store and no source of users"},
	{"auth/endpoint", []string{"auth", "auth/token"}, "a dialect translates for the engine"},
	{"auth/users", []string{"auth/token"}, "users are looked up for the engine"},
	{"auth/users/userstest", []string{"test/loopback"}, "it starts servers for tests"},
	{"store", []string{"auth", "auth/revocation", "auth/token"}, "a store keeps what the core names"},
	{"store/storetest", []string{"auth", "auth/revocation", "auth/token", "store", "test/loopback"}, "the contract of a store is told by the store's own words"},
	{"config", nil, "plain structs, which everybody may be built from"},
	{"metrics", []string{"auth"}, "labels are the core's closed sets"},
	{"test/bench/floor", nil, "the yardstick is not ours"},
	{"test/bench/load", nil, "the yardstick is not ours"},
	{"test/bench/upstream", nil, "the yardstick is not ours"},
	{"test/rig", []string{"cli"}, "it sees the program from outside; cli only so that results are not remembered of an older program"},
	{"test/loopback", nil, "it gives out addresses and knows nobody"},
	{"test/sim", nil, "a model knows nothing of what it models"},
	{"test", nil, "whole-program tests are tests"},
}

// confined says where a library may be imported, tests aside: a folder, or one
// file.
var confined = []struct {
	library string
	to      []string
	why     string
}{
	{"github.com/golang-jwt/jwt", []string{"auth/jws.go"}, "its defaults are unsafe: one file turns them all"},
	{"filippo.io/nistec", []string{"auth/screen.go"}, "what it computes may refuse, and let nothing in"},
	{"github.com/maypok86/otter", []string{"auth"}, "one cache, of verified tokens"},
	{"github.com/go-jose/go-jose", []string{"auth/keyset"}, "it reads sets of keys and verifies nothing"},
	{"github.com/redis/go-redis", []string{"store"}, "its timeouts and retries are set in one place"},
	{"github.com/alicebob/miniredis", nil, "it accepts what Redis refuses: it is for tests alone"},
	{"go.etcd.io/bbolt", []string{"store"}, "one file has one owner"},
	{"github.com/spf13/viper", []string{"config"}, "it lower-cases keys, ignores unknown ones and splits lists"},
	{"go.yaml.in/yaml", []string{"config"}, "the configuration is decoded strictly, in one place"},
	{"github.com/prometheus", []string{"metrics"}, "labels come from closed sets, on one registry"},
	{"github.com/spf13/cobra", []string{"cli"}, "only the command line has flags"},
	{"github.com/jackc/pgx", []string{"auth/users"}, "one place asks the users' database"},
	{"golang.org/x/crypto", []string{"auth/users"}, "passwords are hashed in one place"},
	{"net/http/httputil", []string{"proxy", "test/bench/floor"}, "there is one reverse proxy"},
	{"net/http/pprof", nil, "it registers itself on a mux that anybody may serve"},
	{"net/http/cgi", nil, "it trusts the Proxy header"},
	{"expvar", nil, "it registers itself on a mux that anybody may serve"},
	{"unsafe", nil, "nothing here is worth it"},
	{"math/rand", nil, "secrets come from crypto/rand, everything else from math/rand/v2"},
}

func TestHouseImports(t *testing.T) {
	all := sources(t)
	for _, s := range all {
		if s.test {
			continue
		}
		i := slices.IndexFunc(layers, func(l layer) bool { return l.pkg == s.pkg })
		if i < 0 {
			t.Errorf("%s: the package %s has no place in the house; give it one in the table layers", s.path, s.pkg)
			continue
		}
		for _, imported := range s.imports() {
			ours, ok := strings.CutPrefix(imported, module+"/")
			if ok && !slices.Contains(layers[i].may, ours) {
				t.Errorf("%s imports %s; %s may import %v: %s", s.path, imported, s.pkg, layers[i].may, layers[i].why)
			}
		}
	}
}

func TestHouseLibrariesAreConfined(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, imported := range s.imports() {
			for _, c := range confined {
				if imported != c.library && !strings.HasPrefix(imported, c.library+"/") || imported == "math/rand/v2" {
					continue
				}
				if !slices.ContainsFunc(c.to, func(place string) bool { return s.path == place || strings.HasPrefix(s.path, place+"/") }) {
					t.Errorf("%s imports %s, which belongs to %v: %s", s.path, imported, c.to, c.why)
				}
			}
		}
	}
}

// What the core is made of must not bring HTTP in by a back door either.
func TestHouseCoreIsWithoutHTTP(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "./auth")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, module+"/auth") {
		t.Fatalf("go list printed %v", deps)
	}
	for _, unwanted := range []string{"net/http", "database/sql", "os/exec"} {
		if slices.Contains(deps, unwanted) {
			t.Errorf("auth depends on %s", unwanted)
		}
	}
}
