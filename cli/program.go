package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
)

// Stdio is what a run of the program reads from and writes to.
type Stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// program is one run of gatehouse.
type program struct {
	Stdio
	environ []string // as os.Environ returns it
	now     func() time.Time
}

// Main runs the program with those arguments, of which the first is its name,
// and returns its exit status.
func Main(args []string, std Stdio) int {
	p := &program{Stdio: std, environ: os.Environ(), now: time.Now}
	root := p.root()
	root.SetArgs(args[1:])
	cmd, err := root.ExecuteC()
	return p.report(cmd, err)
}

func (p *program) root() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "gatehouse",
		Short: "reverse-proxy authentication gateway",
		Long: "gatehouse lets a request through to your services only with a valid API key, a valid bearer\n" +
			"token, or both, and tells them who is calling.",
		Example: "  gatehouse demo                # see it work, without any file\n" +
			"  gatehouse init my-gateway     # a gateway.yaml of your own\n" +
			"  gatehouse serve               # run it",
	},
		p.serve(), p.demo(), p.init(), p.check(), p.explain(), p.token(), p.key(), p.user(), p.session(), p.signingKey(), p.config(),
		p.status(), p.healthcheck(), p.version(), p.completion(), p.hashPasswords())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true // completion.go has it as a verb like the others
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w", err) })
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			c.Short, c.Example = "explain a verb", "  gatehouse help token mint"
		}
	}
	return root
}

// group makes cmd a name for those verbs that does nothing by itself.
func group(cmd *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(verbs...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		near := ""
		if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
			near = fmt.Sprintf(" (did you mean %q?)", s[0])
		}
		return usage("there is no verb %q%s", args[0], near)
	}
	return cmd
}

// exit is an error that ends the program with a status of its own. Without err
// nothing more is said.
type exit struct {
	status int
	err    error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// usage is the error of a command line that is wrong.
func usage(format string, args ...any) error {
	return &exit{status: 2, err: fmt.Errorf(format, args...)}
}

// report says on standard error why the verb failed, and returns the exit
// status. What is wrong with a config stands by itself, one problem a line, so
// that editors can read it.
func (p *program) report(cmd *cobra.Command, err error) int {
	var e *exit
	var problem config.Problem
	var problems config.Problems
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e) && e.err == nil:
		return e.status
	case errors.As(err, &e):
		fmt.Fprintf(p.Err, "%s: %s; see %s --help\n", cmd.CommandPath(), oneLine(e.err), cmd.CommandPath())
		return e.status
	case errors.As(err, &problems), errors.As(err, &problem):
		fmt.Fprintln(p.Err, err)
	default:
		fmt.Fprintf(p.Err, "%s: %v\n", cmd.CommandPath(), err)
	}
	return 1
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// noArgs refuses arguments.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("unexpected argument %q", args[0])
	}
	return nil
}

// oneArg wants exactly one argument, and calls it by that name.
func oneArg(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usage("%s is missing", name)
		case len(args) > 1:
			return usage("unexpected argument %q", args[1])
		}
		return nil
	}
}
