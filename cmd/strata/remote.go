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
	path, err := remotePath()
	if err != nil {
		return err
	}
	argv := append([]string{remoteName, verb}, args...)
	if rootFlag != "" {
		argv = append([]string{remoteName, "--root=" + rootFlag, verb}, args...)
	}
	err = unix.Exec(path, argv, os.Environ())
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%s: %s is missing; it belongs beside strata (make builds both)", verb, path)
	}
	return usage(err)
}

// remotePath is where strata-remote is.
func remotePath() (string, error) {
	self, err := os.Executable()
	return filepath.Join(filepath.Dir(self), remoteName), err
}

// remoteCommand is a verb that strata-remote does; it has the flags and the help.
func remoteCommand(use, short string) *cli.Command {
	c := &cli.Command{Use: use, Short: short, Raw: true}
	c.Run = func(args []string) error { return remoteMain(c.Name(), args) }
	return c
}

func newImportCommand() *cli.Command {
	return remoteCommand("import [OPTIONS] FILE|DIRECTORY|- [NAME[:TAG]]", "Make an image of a root filesystem")
}

func newLoadCommand() *cli.Command {
	return remoteCommand("load [OPTIONS]", "Take in images from an archive")
}

func newSaveCommand() *cli.Command {
	c := remoteCommand("save [OPTIONS] IMAGE...", "Write images to an archive")
	c.Complete = completeImages
	return c
}
