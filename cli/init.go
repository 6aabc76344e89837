package cli

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"gatehouse/auth"
	"gatehouse/config"
)

func (p *program) init() *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "write a commented gateway.yaml with fresh secrets",
		Long: "init writes gateway.yaml, jwt.secret and admin.token into a folder, readable by you alone, and prints a\n" +
			"fresh API key, which is kept nowhere. It overwrites nothing.",
		Example: "  gatehouse init\n  gatehouse init my-gateway",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("unexpected argument %q: want one folder", args[1])
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return p.runInit(".")
			}
			return p.runInit(args[0])
		},
	}
}

// secretBytes of randomness make a secret: 43 characters, more than HS256 and
// the admin API need.
const secretBytes = 32

func newSecret() string {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

func (p *program) runInit(dir string) error {
	plain, sum := auth.NewAPIKeySecret()
	files := []struct{ name, text string }{
		{"gateway.yaml", string(config.Template(config.Fresh{
			APIKey: sum, JWTSecretFile: "jwt.secret", AdminTokenFile: "admin.token",
		}))},
		{"jwt.secret", newSecret() + "\n"},
		{"admin.token", newSecret() + "\n"},
	}
	var taken []error
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, f.name)); !errors.Is(err, fs.ErrNotExist) {
			taken = append(taken, fmt.Errorf("%s exists already: nothing was written; name another folder", filepath.Join(dir, f.name)))
		}
	}
	if err := errors.Join(taken...); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		if err := create(filepath.Join(dir, f.name), f.text); err != nil {
			return err
		}
	}
	p.printNextSteps(filepath.Join(dir, "gateway.yaml"), plain)
	return nil
}

// create writes a file for its owner alone, and fails where there is one.
func create(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func (p *program) printNextSteps(file, key string) {
	fmt.Fprintf(p.Out, `wrote %[1]s, and jwt.secret and admin.token beside it

API key of the client "web-app" (shown only now):
  %[2]s

Next: write your service's address as the route's upstream in %[1]s, then
  gatehouse check --config %[3]s
  gatehouse serve --config %[3]s
and from another terminal
  gatehouse token mint --config %[3]s --subject alice > token.txt
  curl -i -H 'Api-Key: %[2]s' -H "Authorization: Bearer $(cat token.txt)" http://127.0.0.1:8080/
`, file, key, shellQuote(file))
}
