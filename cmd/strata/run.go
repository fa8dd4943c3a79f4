// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"strata/internal/container"
	"strata/internal/engine"
	"strata/internal/spawn"
)

const runUse = "run [OPTIONS] IMAGE [COMMAND [ARG…]]"

// runMain is the verb run without the command tree.
func runMain(root string, args []string) int {
	var f containerFlags
	var explain bool
	fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
	fs.Usage = func() {}
	f.bind(fs)
	bindRun(fs, &explain)
	fs.StringVar(&root, "root", root, "")
	err := fs.Parse(args)
	if help, _ := fs.GetBool("help"); help {
		return report(printRunHelp())
	}
	if err != nil {
		return report(usage(fmt.Errorf("run: %w; see strata run --help", err)))
	}
	return report(run(root, &f, fs, explain))
}

func bindRun(fs *pflag.FlagSet, explain *bool) {
	fs.BoolVar(explain, "explain", false, "print the shell commands that would do the same, and run nothing")
}

// newRunCommand is there for help and completion.
func newRunCommand() *cobra.Command {
	var f containerFlags
	var explain bool
	c := &cobra.Command{
		Use:   runUse,
		Short: "Run a command in a new container",
		RunE: func(c *cobra.Command, _ []string) error {
			return run(rootFlag, &f, c.Flags(), explain)
		},
	}
	f.bind(c.Flags())
	bindRun(c.Flags(), &explain)
	c.ValidArgsFunction = completeImages
	return c
}

func printRunHelp() error {
	root := newRootCommand()
	root.SetArgs([]string{"help", "run"})
	return root.Execute()
}

func run(root string, f *containerFlags, fs *pflag.FlagSet, explain bool) error {
	o, err := f.options(fs, fs.Args())
	if err != nil {
		return usage(fmt.Errorf("run: %w", err))
	}
	e, err := openEngine(root)
	if err != nil {
		return usage(err)
	}
	defer e.Close()
	if explain {
		if err := e.Explain(o, os.Stdout); err != nil {
			return usage(fmt.Errorf("run: %w", err))
		}
		return nil
	}
	if err := checkTerminal(o.Host); err != nil {
		return usage(fmt.Errorf("run: %w", err))
	}
	c, err := e.Create(o)
	if err != nil {
		return usage(fmt.Errorf("run: %w", err))
	}
	defer c.Close()
	code, err := foreground(e, c, o.Host.OpenStdin)
	if o.AutoRemove {
		err = errors.Join(err, e.Discard(c))
		reapLater(e)
	}
	return ended(code, c, err)
}

// foreground starts a container on our own streams and waits for its end.
func foreground(e *engine.Engine, c *container.Container, stdin bool) (int, error) {
	streams := engine.Streams{Stdout: os.Stdout, Stderr: os.Stderr}
	if stdin {
		streams.Stdin = os.Stdin
	}
	// From here on a signal is the container's, even if it comes before that runs.
	if err := spawn.CatchSignals(forwarded...); err != nil {
		return engine.ExitError, err
	}
	running, err := e.Start(c, streams)
	if err != nil {
		return engine.ExitCode(err), err
	}
	return attach(running, stdin)
}

// ended turns the end of a container into ours: its exit code, or a line that
// says why it did not start.
func ended(code int, c *container.Container, err error) error {
	var failed *spawn.Error
	switch {
	case err == nil && code == 0:
		return nil
	case err == nil:
		return &exitError{code: code}
	case errors.As(err, &failed) && failed.Exec:
		return &exitError{code: code, err: programError(c, failed)}
	}
	return &exitError{code: engine.ExitError, err: fmt.Errorf("container %s: %w", c.Record.DisplayName(), err)}
}

func programError(c *container.Container, failed *spawn.Error) error {
	of := c.Record.Image
	if of == "" {
		of = c.Record.Rootfs
	}
	if engine.ExitCode(failed) == engine.ExitNotFound {
		return fmt.Errorf("run %s: the image has no command %q, or not what its first line or its loader names", of, failed.Call)
	}
	return fmt.Errorf("run %s: command %q cannot be executed: %w", of, failed.Call, failed.Errno)
}
