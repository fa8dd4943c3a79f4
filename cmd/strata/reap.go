// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"syscall"

	"strata/internal/engine"
)

// reapLater starts a process that empties the trash, and does not wait for it:
// deleting takes longer than starting a container. If somebody is at it
// already, that process ends at once.
func reapLater(e *engine.Engine) {
	self, err := os.Executable()
	if err != nil {
		return
	}
	cmd := exec.Command(self, "--root", e.Root(), "gc", "--trash-only", "--no-wait", "--quiet")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if cmd.Start() == nil {
		cmd.Process.Release()
	}
}
