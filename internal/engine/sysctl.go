// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"strata/internal/container"
	"strata/internal/sandbox"
)

// CheckSysctl refuses a kernel parameter that all of the machine shares, or
// whose namespace the container has from the host.
func CheckSysctl(name string, i *container.Isolation, h *container.Host) error {
	mode, flag := "", ""
	switch sandbox.SysctlNamespace(name) {
	case specs.IPCNamespace:
		mode, flag = i.IpcMode, "--ipc"
	case specs.NetworkNamespace:
		mode, flag = h.Network, "--network"
	case specs.UTSNamespace:
		mode, flag = i.UTSMode, "--uts"
		if i.Domainname != "" {
			return errors.New("--domainname sets it")
		}
	default:
		return errors.New("all of the machine shares it; only kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.* and net.* belong to a container")
	}
	if mode == "host" {
		return fmt.Errorf("with %s host it is the host's own", flag)
	}
	return nil
}
