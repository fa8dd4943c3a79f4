// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"strata/internal/cli"
	"strata/internal/container"
	"strata/internal/engine"
	"strata/internal/spawn"
)

// execFlags are those of exec, with Docker's names and meanings.
type execFlags struct {
	engine.ExecOptions
	env, envFiles []string
	interactive   bool
	detachKeys    string
	input         input
}

func newExecCommand() *cli.Command {
	var f execFlags
	c := &cli.Command{
		Use:   "exec [OPTIONS] CONTAINER COMMAND [ARG…]",
		Short: "Run a command in a running container",
		Max:   -1,
	}
	f.bind(c.Flags())
	c.Run = func(args []string) error {
		if err := f.read(args); err != nil {
			return usage(fmt.Errorf("exec: %w", err))
		}
		return withEngine(func(e *engine.Engine) error { return execute(e, args[0], &f) })
	}
	c.Complete = completeContainers
	return c
}

func (f *execFlags) bind(fs *cli.FlagSet) {
	fs.ArgumentsEnd = true // what follows the container is the command's own
	fs.BoolVar(&f.Detached, "detach", "d", "run in the background, without input or output")
	fs.StringsVar(&f.env, "env", "e", "NAME=VALUE", "set a variable: NAME=VALUE, or NAME to pass on our own")
	fs.StringsVar(&f.envFiles, "env-file", "", "FILE", "read variables from a file")
	fs.BoolVar(&f.interactive, "interactive", "i", "pass standard input on")
	fs.BoolVar(&f.Privileged, "privileged", "", "give the command every capability")
	fs.BoolVar(&f.Terminal, "tty", "t", "give the command a terminal")
	detachFlag(fs, &f.detachKeys)
	fs.StringVar(&f.User, "user", "u", "USER", "user of the command: name or uid, and :group")
	fs.StringVar(&f.WorkDir, "workdir", "w", "DIR", "directory in which the command starts")
}

// read checks what was given and completes the options.
func (f *execFlags) read(args []string) (err error) {
	switch {
	case len(args) == 0:
		return errors.New("no container given: name one after the options")
	case len(args) == 1:
		return errors.New("no command given: name one after the container")
	case f.Detached && f.Terminal:
		return errors.New("-d and -t together are not supported: nobody would hold the terminal; leave one out")
	}
	f.Command = args[1:]
	if f.Env, err = readEnvironment(f.envFiles, f.env); err != nil {
		return err
	}
	if f.input, err = newInput(f.interactive, f.detachKeys); err != nil {
		return err
	}
	return checkTerminal(container.Host{Terminal: f.Terminal, OpenStdin: f.interactive})
}

// execute runs the command on our own streams, or in the background without any.
func execute(e *engine.Engine, name string, f *execFlags) error {
	var streams engine.Streams
	if !f.Detached {
		streams = ownStreams(f.interactive)
		// From here on a signal is the command's, even if it comes before that runs.
		if err := spawn.CatchSignals(forwarded...); err != nil {
			return fmt.Errorf("exec: %w", err)
		}
	}
	running, err := e.Exec(name, f.ExecOptions, streams)
	if err != nil {
		return notExecuted(name, err)
	}
	var code int
	if f.Detached {
		_, err = running.Wait()
	} else {
		code, err = attach(running, f.input)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "strata: exec: %s\n", cli.OneLine(err))
	}
	if code != 0 {
		return &cli.ExitError{Code: code}
	}
	return nil
}

// notExecuted gives the errors of a command that could not be begun Docker's exit
// codes: 126 and 127 once it was the container's turn, and otherwise 1.
func notExecuted(name string, err error) error {
	var failed *spawn.Error
	switch code := engine.ExitCode(err); {
	case !errors.As(err, &failed):
		return fmt.Errorf("exec: %w", err)
	case code == engine.ExitNotFound:
		return &cli.ExitError{Code: code, Err: fmt.Errorf("exec: container %s has no command %q, or not what its first line or its loader names", name, failed.Call)}
	case failed.Exec:
		return &cli.ExitError{Code: code, Err: fmt.Errorf("exec: container %s: command %q cannot be executed: %w", name, failed.Call, failed.Errno)}
	}
	return &cli.ExitError{Code: engine.ExitNotExecutable, Err: fmt.Errorf("exec: container %s: %w", name, err)}
}
