// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"strata/internal/cli"
	"strata/internal/container"
	"strata/internal/engine"
	"strata/internal/spawn"
)

func newRunCommand() *cli.Command {
	var f containerFlags
	var explain, timing bool
	c := &cli.Command{
		Use:   "run [OPTIONS] IMAGE [COMMAND [ARG…]]",
		Short: "Run a command in a new container",
		Max:   -1,
	}
	f.bind(c.Flags())
	c.Flags().BoolVar(&explain, "explain", "", "print the shell commands that would do the same, and run nothing")
	c.Flags().BoolVar(&timing, "timing", "", "print at the end, on standard error, where the time of the start went")
	var keys string
	detachFlag(c.Flags(), &keys)
	c.Run = func(args []string) error {
		if explain {
			return explainRun(&f, c.Flags(), args)
		}
		in, err := newInput(f.interactive, keys)
		if err != nil {
			return usage(fmt.Errorf("run: %w", err))
		}
		return run(&f, c.Flags(), args, in, timing)
	}
	c.Complete = completeImages
	return c
}

func explainRun(f *containerFlags, fs *cli.FlagSet, args []string) error {
	o, err := f.options(fs, args)
	if err != nil {
		return usage(fmt.Errorf("run: %w", err))
	}
	err = withEngine(func(e *engine.Engine) error { return e.Explain(o, os.Stdout) })
	if err != nil {
		return usage(fmt.Errorf("run: %w", err))
	}
	return nil
}

func run(f *containerFlags, fs *cli.FlagSet, args []string, in input, timing bool) error {
	var trace *engine.Trace
	if timing {
		trace = engine.NewTrace()
	}
	o, err := f.options(fs, args)
	if err != nil {
		return usage(fmt.Errorf("run: %w", err))
	}
	e, err := openEngine()
	if err != nil {
		return usage(err)
	}
	defer e.Close()
	if err := checkTerminal(o.Host); err != nil {
		return usage(fmt.Errorf("run: %w", err))
	}
	e.Trace = trace
	trace.Mark("check the flags, open the store")
	var c *container.Container
	var child *engine.Child
	err = f.pull.provide(e, &o, func() (err error) {
		c, child, err = e.CreateToRun(o)
		return err
	})
	if err != nil {
		return usage(fmt.Errorf("run: %w", err))
	}
	defer c.Close()
	code, err := runToEnd(e, c, child, in)
	if timing {
		trace.Mark("put the container aside")
		err = errors.Join(err, trace.Print(os.Stderr))
	}
	return ended(code, c, err)
}

// runToEnd runs a container that has been made, and removes one that is to be.
func runToEnd(e *engine.Engine, c *container.Container, child *engine.Child, in input) (int, error) {
	started := time.Now()
	code, err := foreground(e, c, child, in)
	e.Trace.Mark("the program runs")
	if c.Record.AutoRemove {
		err = errors.Join(err, e.Discard(c))
		if time.Since(started) > brief || e.TrashIsFull() {
			reapLater(e)
		}
	}
	return code, err
}

// killed is the exit code of a program that SIGKILL has ended.
const killed = 128 + 9

// brief is how long a container runs that had no time to fill the disk: its
// directory may wait in the trash for more of its like.
const brief = time.Second

// foreground starts a container on our own streams and waits for its end. Its
// child may have been begun, or is nil.
func foreground(e *engine.Engine, c *container.Container, child *engine.Child, in input) (int, error) {
	streams := ownStreams(in.stdin)
	// From here on a signal is the container's, even if it comes before that runs.
	if err := spawn.CatchSignals(forwarded...); err != nil {
		return engine.ExitError, err
	}
	running, err := e.Start(c, child, streams)
	if err != nil {
		return engine.ExitCode(err), err
	}
	code, err := attach(running, in)
	if running.OOMKilled() && code == killed {
		fmt.Fprintf(os.Stderr, "strata: container %s: killed for want of memory; give it more with --memory\n", c.Record.DisplayName())
	}
	if err != nil { // the container has run: its exit code is ours, whatever we failed to write down
		fmt.Fprintf(os.Stderr, "strata: container %s: %s\n", c.Record.DisplayName(), cli.OneLine(err))
	}
	return code, nil
}

// ended turns the end of a container into ours: its exit code, or a line that
// says why it did not start.
func ended(code int, c *container.Container, err error) error {
	var failed *spawn.Error
	switch {
	case err == nil && code == 0:
		return nil
	case err == nil:
		return &cli.ExitError{Code: code}
	case errors.As(err, &failed) && failed.Exec:
		return &cli.ExitError{Code: code, Err: programError(c, failed)}
	}
	return &cli.ExitError{Code: engine.ExitError, Err: fmt.Errorf("container %s: %w", c.Record.DisplayName(), err)}
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
