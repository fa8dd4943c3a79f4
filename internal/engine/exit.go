// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"

	"golang.org/x/sys/unix"

	"strata/internal/spawn"
)

// Docker's exit codes for what was not the program's own doing.
const (
	ExitError         = 125 // ours
	ExitNotExecutable = 126
	ExitNotFound      = 127
)

// ExitCode is the exit code for a container that could not be started.
func ExitCode(err error) int {
	var failed *spawn.Error
	if !errors.As(err, &failed) || !failed.Exec {
		return ExitError
	}
	if failed.Errno == unix.ENOENT || failed.Errno == unix.ENOTDIR {
		return ExitNotFound
	}
	return ExitNotExecutable
}
