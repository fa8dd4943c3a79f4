// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// The kernel has had xattr calls relative to a directory only since 6.13, so an
// entry is named through the procfs link of its directory: the link is the
// handle itself, and the calls do not follow the last component.
func entryPath(dir int, name string) string {
	return "/proc/self/fd/" + strconv.Itoa(dir) + "/" + name
}

// Lgetxattr returns the attribute attr of the entry name of dir, and nil
// without an error when it has none or the filesystem has no attributes.
func Lgetxattr(dir int, name, attr string) ([]byte, error) {
	path := entryPath(dir, name)
	buf := make([]byte, 128)
	for {
		n, err := unix.Lgetxattr(path, attr, buf)
		switch err {
		case nil:
			return buf[:n], nil
		case unix.ENODATA, unix.ENOTSUP:
			return nil, nil
		case unix.EINTR:
		case unix.ERANGE:
			if n, err = unix.Lgetxattr(path, attr, nil); err != nil {
				return nil, err
			}
			buf = make([]byte, n+64)
		default:
			return nil, err
		}
	}
}

// Lsetxattr sets the attribute attr of the entry name of dir.
func Lsetxattr(dir int, name, attr string, value []byte) error {
	return Retry(func() error { return unix.Lsetxattr(entryPath(dir, name), attr, value, 0) })
}

// Lremovexattr removes the attribute attr of the entry name of dir.
func Lremovexattr(dir int, name, attr string) error {
	return Retry(func() error { return unix.Lremovexattr(entryPath(dir, name), attr) })
}

// Llistxattr returns the names of the attributes of the entry name of dir, in
// the filesystem's order; none where the filesystem has no attributes.
func Llistxattr(dir int, name string) ([]string, error) {
	path := entryPath(dir, name)
	buf := make([]byte, 512)
	for {
		n, err := unix.Llistxattr(path, buf)
		switch err {
		case nil:
			return splitNames(buf[:n]), nil
		case unix.ENOTSUP:
			return nil, nil
		case unix.EINTR:
		case unix.ERANGE:
			if n, err = unix.Llistxattr(path, nil); err != nil {
				return nil, err
			}
			buf = make([]byte, n+512)
		default:
			return nil, err
		}
	}
}

func splitNames(list []byte) []string {
	var names []string
	for name := range bytes.SplitSeq(list, []byte{0}) {
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
	return names
}
