// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"strata/internal/cli"
)

const remoteName = "strata-remote"

// remoteMain hands a verb over to strata-remote, which lies beside this
// program and takes its place. It returns only when that cannot be.
func remoteMain(verb string, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path := filepath.Join(filepath.Dir(self), remoteName)
	argv := append([]string{remoteName, verb}, args...)
	if rootFlag != "" {
		argv = append([]string{remoteName, "--root=" + rootFlag, verb}, args...)
	}
	err = unix.Exec(path, argv, os.Environ())
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%s: %s is missing; it belongs beside %s (make builds both)", verb, path, filepath.Base(self))
	}
	return usage(err)
}

func newImportCommand() *cli.Command {
	return &cli.Command{
		Use:   "import [OPTIONS] FILE|DIRECTORY|- [NAME[:TAG]]",
		Short: "Make an image of a root filesystem",
		Raw:   true,
		Run:   func(args []string) error { return remoteMain("import", args) },
	}
}
