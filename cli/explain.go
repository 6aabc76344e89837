package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/admin"
	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/proxy"
)

// explainFlags say which request is to be explained.
type explainFlags struct {
	config    *string
	method    string
	headers   []string
	tokenFile string
	keyFile   string
	certFile  string
	json      bool
}

func (p *program) explain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain [flags] PATH",
		Short: "say whether a request would be let through, and why",
		Long: "explain takes the decision that serve would take, by the same code, and prints every step: the route\n" +
			"and why not the nearest others, each credential and check, and the headers that would go upstream.\n" +
			"Nothing is sent there; an issuer with introspection is asked about an opaque token. The exit status is 0\n" +
			"when the request would be let through, 3 when not.",
		Example: "  gatehouse explain /orders/7\n" +
			"  gatehouse explain -X POST /orders -H 'Host: api.example.com' --key-file key.txt --token-file token.txt\n" +
			"  gatehouse explain /orders/7 --client-cert client.crt\n" +
			"  gatehouse explain /orders/7 --token-file - --json < token.txt",
		Args: oneArg("the path"),
	}
	f.config = configFlag(cmd)
	cmd.Flags().StringVarP(&f.method, "request", "X", http.MethodGet, "method")
	cmd.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "header line, 'Name: value'; repeatable")
	cmd.Flags().StringVar(&f.tokenFile, "token-file", "", "file with the bearer token, - for standard input")
	cmd.Flags().StringVar(&f.keyFile, "key-file", "", "file with the API key, - for standard input")
	cmd.Flags().StringVar(&f.certFile, "client-cert", "", "file with the client's certificate in PEM, for a listener that asks for one")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return p.runExplain(cmd.Context(), f, args[0]) }
	return cmd
}

func (p *program) runExplain(ctx context.Context, f explainFlags, target string) error {
	cfg, err := p.load(*f.config)
	if err != nil {
		return err
	}
	ask, err := p.explainRequest(f, target, cfg.APIKeys.Header)
	if err != nil {
		return err
	}
	r, err := ask.HTTP()
	if err != nil {
		return usage("%w", err)
	}
	e, listErr := gateway.Explain(ctx, cfg, r, p.now(), p.warnings())
	if listErr != nil && e.Reason == auth.Undecided {
		return listErr // there is no explanation
	}
	if listErr != nil {
		fmt.Fprintf(p.Err, "warning: the revocation list could not be read, so this is the decision of a gateway that has none: %v\n", listErr)
	}
	if f.json {
		err = p.printJSON(e)
	} else {
		p.printExplanation(target, e)
	}
	if err == nil && !e.Allowed {
		return &exit{status: 3}
	}
	return err
}

// explainRequest is the request that the flags describe.
func (p *program) explainRequest(f explainFlags, target, apiKeyHeader string) (admin.ExplainRequest, error) {
	ask := admin.ExplainRequest{Method: f.method, Target: target}
	for i, line := range f.headers {
		name, value, found := strings.Cut(line, ":")
		if !found { // the line is not repeated: it may be a secret
			return ask, usage("--header %d has no colon: want 'Name: value'", i+1)
		}
		if value = strings.Trim(value, " \t"); strings.EqualFold(name, "Host") {
			ask.Host = value
			continue
		}
		ask.Headers = append(ask.Headers, admin.ExplainHeader{Name: name, Value: value})
	}
	if f.keyFile == "-" && f.tokenFile == "-" {
		return ask, usage("--key-file and --token-file cannot both be read from standard input")
	}
	for _, secret := range []struct{ file, prompt, header, prefix string }{
		{f.keyFile, "API key", apiKeyHeader, ""},
		{f.tokenFile, "Token", "Authorization", "Bearer "},
	} {
		if secret.file == "" {
			continue
		}
		text, err := p.readSecret(secret.file, secret.prompt)
		if err != nil {
			return ask, err
		}
		ask.Headers = append(ask.Headers, admin.ExplainHeader{Name: secret.header, Value: secret.prefix + text})
	}
	if f.certFile != "" {
		pem, err := config.File(f.certFile).Read()
		if err != nil {
			return ask, usage("--client-cert cannot be read: %w", err)
		}
		if ask.ClientCertificate = string(pem); strings.Contains(ask.ClientCertificate, "PRIVATE KEY") {
			return ask, usage("--client-cert: there is a private key in the file: name one with the certificate alone")
		}
	}
	return ask, nil
}

func (p *program) printExplanation(target string, e proxy.Explanation) {
	head := [][]string{{"request", e.Method + " " + target + " for host " + e.Host}}
	if path, _, _ := strings.Cut(target, "?"); e.Path != "" && e.Path != path {
		head = append(head, []string{"path", e.Path})
	}
	if e.Route != "" {
		head = append(head, []string{"route", fmt.Sprintf("%s, by %q", e.Route, e.Pattern)})
	}
	for _, miss := range e.NearMisses {
		head = append(head, []string{"not route", fmt.Sprintf("%s, by %q: %s", miss.Route, miss.Pattern, miss.Why)})
	}
	table(p.Out, "", head)
	fmt.Fprintln(p.Out)
	p.printSteps(e.Steps)
	if !e.Allowed {
		fmt.Fprintf(p.Out, "denied: %d %s: %s\n", e.Status, e.Reason, e.Reason.Title())
		if e.Detail != "" {
			fmt.Fprintln(p.Out, "  "+e.Detail)
		}
		return
	}
	tail := [][]string{}
	for _, name := range e.Removed {
		tail = append(tail, []string{"removes", name})
	}
	for _, h := range e.Added {
		tail = append(tail, []string{"sets", h.Name + ": " + h.Value})
	}
	for _, url := range e.Upstreams {
		tail = append(tail, []string{"sends to", url + e.Forwarded})
	}
	if e.RenewalDue {
		tail = append(tail, []string{"renews", "a successful response carries a renewed token"})
	}
	table(p.Out, "  ", tail)
	fmt.Fprintln(p.Out, "\nallowed")
}

// printSteps writes each check with what came of it.
func (p *program) printSteps(steps []auth.Step) {
	rows := make([][]string, 0, len(steps))
	for _, s := range steps {
		rows = append(rows, []string{s.Result, s.Check, s.Detail})
	}
	table(p.Out, "  ", rows)
	if len(steps) > 0 {
		fmt.Fprintln(p.Out)
	}
}
