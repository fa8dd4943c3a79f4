// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/linux"
	"strata/internal/rootless"
)

func newUnshareCommand() *cli.Command {
	c := &cli.Command{
		Use:   "unshare [COMMAND [ARG…]]",
		Short: "Run a command, or a shell, with the store's ids, as root of your user namespace",
		Long: `Run a command, or the shell in SHELL, in the user namespace in which an ordinary
user's containers run, and in a mount namespace of its own: files have the owners
that containers see, files of subordinate ids can be read and deleted, and strata
mount works. Root has no need of it and is refused.`,
		Max: -1,
		Run: unshare,
	}
	c.Flags().ArgumentsEnd = true
	return c
}

// unshare becomes the command: nothing of ours stays between it and its caller.
func unshare(args []string) error {
	if len(args) == 0 {
		args = []string{cmp.Or(os.Getenv("SHELL"), "/bin/sh")}
	}
	if rootless.Needed() {
		return usage(rootless.Enter(storeRoot(), true)) // comes back here as root of a user namespace
	}
	if !linux.InUserNamespace() {
		return usage(errors.New("unshare: you are root of the host, whose containers have no ids of their own: nothing to do"))
	}
	if rootFlag != "" {
		os.Setenv("STRATA_ROOT", rootFlag) // for the strata that may be run there
	}
	path, err := exec.LookPath(args[0])
	if err == nil {
		err = &os.PathError{Op: "execute", Path: path, Err: unix.Exec(path, args, os.Environ())}
	}
	code := engine.ExitNotExecutable
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		code = engine.ExitNotFound
	}
	return &cli.ExitError{Code: code, Err: fmt.Errorf("unshare: %w", err)}
}
