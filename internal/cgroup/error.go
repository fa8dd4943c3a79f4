// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// An Error is something that the kernel has refused.
type Error struct {
	Op    string // what was done, to what
	Errno error
	Hint  string // what to do
}

func (e *Error) Error() string {
	text := e.Op + ": " + e.Errno.Error()
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

func (e *Error) Unwrap() error { return e.Errno }

// Unavailable reports whether err says that cgroups cannot be made here, by us:
// who asked for no limit can do without.
func Unavailable(err error) bool {
	for _, cause := range []error{os.ErrPermission, unix.EROFS, os.ErrNotExist, unix.ENOSPC, unix.EAGAIN, unix.ENODEV} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// limitHint says what to do about a limit that the kernel has refused.
func limitHint(err error) string {
	switch {
	case errors.Is(err, unix.EBUSY):
		return "more is in use already: choose a higher limit, or end processes inside first"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ERANGE):
		return "the value is out of the kernel's range, or of what the cgroup above and the other limits allow"
	case errors.Is(err, os.ErrPermission):
		return "run it as root, or let a cgroup be delegated to you (systemd: Delegate=yes)"
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return "there is no such device; of a disk, name the whole and not a partition"
	case errors.Is(err, unix.ENOSPC):
		return "it has no processor or memory node in it that is online"
	case errors.Is(err, os.ErrNotExist):
		return "this kernel does not have that limit"
	case errors.Is(err, unix.EOPNOTSUPP):
		return "this kernel, or the disk's scheduler, does not have that limit"
	}
	return ""
}
