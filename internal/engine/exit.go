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

// exitCode is that of a process that has ended: 128 and the number for a signal,
// as shells have it.
func exitCode(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

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
