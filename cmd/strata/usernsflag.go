// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"strata/internal/container"
	"strata/internal/linux"
	"strata/internal/rootless"
)

// userNamespace checks --userns and what it does not go with.
func (f *containerFlags) userNamespace() (string, error) {
	switch f.userns {
	case "", "host":
		return "", nil
	}
	if rootless.Needed() || linux.InUserNamespace() {
		return "", fmt.Errorf("--userns %s: an ordinary user's containers have the ids that strata unshare has, which is --userns host: the kernel maps the ids of layers for root only", f.userns)
	}
	switch f.userns {
	case container.UserNSAuto:
	default:
		return "", fmt.Errorf("--userns %s: the modes are auto and host", f.userns)
	}
	if f.network == "host" {
		return "", fmt.Errorf("--userns auto: its root has no say over the host's network; use --network none or --userns host")
	}
	return f.userns, nil
}
