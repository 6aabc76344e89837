package cli

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/auth"
)

func (p *program) key() *cobra.Command {
	return group(&cobra.Command{
		Use:   "key",
		Short: "make, hash, list, revoke and rotate API keys",
		Example: "  gatehouse key new --id web-app\n" +
			"  gatehouse key list\n" +
			"  gatehouse key rotate web-app --overlap 24h",
	}, p.keyNew(), p.keyHash(), p.keyList(), p.keyRevoke(), p.keyRotate())
}

// configLine is the entry of a key under api_keys.keys.
func configLine(k auth.APIKey) string {
	var b strings.Builder
	fmt.Fprintf(&b, `- {id: %q, sha256: "%x"`, k.ID, k.SHA256)
	if !k.NotAfter.IsZero() {
		fmt.Fprintf(&b, ", not_after: %s", instant(k.NotAfter, ""))
	}
	if k.Routes != nil {
		routes, _ := json.Marshal(k.Routes) // strings always can be; JSON is YAML
		fmt.Fprintf(&b, ", routes: %s", routes)
	}
	return b.String() + "}"
}

// withID returns the keys that have the id.
func withID(keys []auth.APIKey, id string) []auth.APIKey {
	return slices.DeleteFunc(slices.Clone(keys), func(k auth.APIKey) bool { return k.ID != id })
}

// keyOutput is a key as --json prints it.
type keyOutput struct {
	ID       string    `json:"id"`
	Key      string    `json:"key,omitempty"` // only where it was just made
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"not_after,omitzero"`
	Routes   []string  `json:"routes,omitempty"` // absent: all
	Source   string    `json:"source,omitempty"` // config or store
}

func outputOf(k auth.APIKey) keyOutput {
	return keyOutput{ID: k.ID, SHA256: hex.EncodeToString(k.SHA256[:]), NotAfter: k.NotAfter, Routes: k.Routes}
}

// printNew prints a key that was just made: the only time that it is seen.
func (p *program) printNew(plain, where string) {
	fmt.Fprintf(p.Out, "key (shown only now, give it to the client):\n  %s\n%s\n", plain, where)
}
