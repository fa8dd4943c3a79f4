// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

const remoteName = "strata-remote"

// remoteMain hands a verb over to strata-remote, which lies beside this
// program and takes its place. It returns only when that cannot be.
func remoteMain(root, verb string, args []string) int {
	self, err := os.Executable()
	if err != nil {
		return report(err)
	}
	path := filepath.Join(filepath.Dir(self), remoteName)
	argv := append([]string{remoteName, verb}, args...)
	if root != "" {
		argv = append([]string{remoteName, "--root=" + root, verb}, args...)
	}
	err = unix.Exec(path, argv, os.Environ())
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%s: %s is missing; it belongs beside %s (make builds both)", verb, path, filepath.Base(self))
	}
	return report(usage(err))
}

// newImportCommand is there for help and completion; dispatch has handed the
// verb over before.
func newImportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:                "import [OPTIONS] FILE|DIRECTORY|- [NAME[:TAG]]",
		Short:              "Make an image of a root filesystem",
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			return &exitError{code: remoteMain(rootFlag, c.Name(), args)}
		},
	}
	c.Flags().StringArrayP("change", "c", nil, "apply a Dockerfile instruction to the image: CMD, ENV, …")
	c.Flags().StringP("message", "m", "", "what the image is for")
	return c
}
