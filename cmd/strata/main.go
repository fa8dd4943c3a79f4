// SPDX-License-Identifier: Apache-2.0

// What Go does with the cgroup's share of processors, at the start and with a
// timer later, takes time that a start does not have.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command strata runs, inspects and commits containers on overlay filesystems,
// without a daemon. There is one file for each verb.
//
// The verbs on the way of a start are dispatched before the command tree is
// built, and what needs large packages (other compressions, the network) is in
// strata-remote, beside this program and run by it on demand: what is linked in
// costs time at every start.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"strata/internal/engine"
)

// version is set by the linker.
var version = "0.1.0-dev"

func main() {
	os.Exit(dispatch(os.Args[1:]))
}

// dispatch runs one command and returns its exit code.
func dispatch(args []string) int {
	root, verb, rest := splitVerb(args)
	switch verb {
	case "run":
		return runMain(root, rest)
	case "version":
		if len(rest) == 0 {
			return versionMain()
		}
	case "import":
		return remoteMain(root, verb, rest)
	}
	return report(newRootCommand().Execute())
}

// splitVerb parts the global flags before the verb from what follows it.
func splitVerb(args []string) (root, verb string, rest []string) {
	for i := 0; i < len(args); i++ {
		switch value, isRoot := strings.CutPrefix(args[i], "--root="); {
		case isRoot:
			root = value
		case args[i] == "--root" && i+1 < len(args):
			i++
			root = args[i]
		default:
			return root, args[i], args[i+1:]
		}
	}
	return root, "", nil
}

// An exitError carries an exit code that is not 1, and may be silent.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// report prints err as one line and returns the exit code: Docker's 125 for a
// command line that cannot be read, 1 for what went wrong in doing it.
func report(err error) int {
	if err == nil {
		return 0
	}
	code := 1
	var exit *exitError
	if errors.As(err, &exit) {
		if code = exit.code; exit.err == nil {
			return code
		}
	}
	fmt.Fprintln(os.Stderr, "strata: "+oneLine(err))
	return code
}

// oneLine is an error's text with the lines of joined errors on one.
func oneLine(err error) string {
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
}

func usage(err error) error { return &exitError{code: engine.ExitError, err: err} }

// rootFlag is the store named on the command line, "" for the default.
var rootFlag string

// withEngine opens the store for one call.
func withEngine(f func(*engine.Engine) error) error {
	e, err := openEngine(rootFlag)
	if err != nil {
		return err
	}
	return errors.Join(f(e), e.Close())
}

func openEngine(root string) (*engine.Engine, error) {
	if root == "" {
		root = engine.DefaultRoot()
	}
	return engine.Open(root)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "strata",
		Short:         "Isolated root filesystems that share read-only layers",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Errorf("%q is not a command; see strata --help", args[0]))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().StringVar(&rootFlag, "root", "", "directory of the store (default $STRATA_ROOT or "+engine.DefaultRoot()+")")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if !c.HasParent() {
			return usage(fmt.Errorf("%w; see strata --help", err))
		}
		return usage(fmt.Errorf("%s: %w; see strata %s --help", c.Name(), err, c.Name()))
	})
	root.AddCommand(
		newRunCommand(), newCreateCommand(), newStartCommand(), newPsCommand(), newRmCommand(),
		newImportCommand(), newImagesCommand(), newRmiCommand(), newTagCommand(), newInspectCommand(), newHistoryCommand(),
		newDiffCommand(), newCommitCommand(), newExportCommand(), newDfCommand(), newMountCommand(), newUmountCommand(),
		newGcCommand(), newInfoCommand(), newVersionCommand(),
	)
	return root
}

// exactly is cobra.ExactArgs with a message that shows the usage.
func exactly(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usage(fmt.Errorf("%s takes %d arguments, not %d: strata %s", c.Name(), n, len(args), c.Use))
		}
		return nil
	}
}

// atLeast is cobra.MinimumNArgs with a message that shows the usage.
func atLeast(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return usage(fmt.Errorf("%s needs at least %d argument: strata %s", c.Name(), n, c.Use))
		}
		return nil
	}
}

// atMost is cobra.MaximumNArgs with a message that shows the usage.
func atMost(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n {
			return usage(fmt.Errorf("%s takes at most %d argument: strata %s", c.Name(), n, c.Use))
		}
		return nil
	}
}

// forEach does something for each name and goes on after an error: one line
// for each.
func forEach(names []string, f func(*engine.Engine, string) error) error {
	return withEngine(func(e *engine.Engine) error {
		failed := false
		for _, name := range names {
			if err := f(e, name); err != nil {
				fmt.Fprintln(os.Stderr, "strata: "+oneLine(err))
				failed = true
			}
		}
		if failed {
			return &exitError{code: 1}
		}
		return nil
	})
}
