// SPDX-License-Identifier: Apache-2.0

package linux

import "golang.org/x/sys/unix"

// OpenHere opens an entry of dir that is really there: a symbolic link is ELOOP
// and a mount point EXDEV (openat2(2), RESOLVE_NO_XDEV, which also knows bind
// mounts of the same filesystem, that st_dev cannot tell). Whoever removes a tree
// descends with it, so that a mount forgotten in the tree is not emptied.
func OpenHere(dir int, name string, flags int) (int, error) {
	const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV
	return openat2(dir, name, flags, 0, resolve)
}
