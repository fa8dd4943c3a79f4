// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"os"

	"golang.org/x/sys/unix"
)

// SetPropagation makes the mount at f private, a slave or shared
// (unix.MS_PRIVATE, MS_SLAVE, MS_SHARED), and all mounts beneath it when
// recursive. A clone begins as a peer of the mount it was made from: without
// this, what a container mounts beneath it would appear on the host
// (mount_namespaces(7), "Shared subtrees").
func SetPropagation(f *os.File, propagation uint64, recursive bool) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	err := unix.MountSetattr(int(f.Fd()), "", flags, &unix.MountAttr{Propagation: propagation})
	return os.NewSyscallError("mount_setattr", err)
}
