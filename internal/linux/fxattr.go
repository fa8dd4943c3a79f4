// SPDX-License-Identifier: Apache-2.0

package linux

import "golang.org/x/sys/unix"

// Flistxattr returns the names of the attributes of the open file fd, which
// must not be an O_PATH descriptor; none where the filesystem has none.
func Flistxattr(fd int) ([]string, error) {
	list, err := grow(512, func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) })
	if err == unix.ENOTSUP {
		return nil, nil
	}
	return splitNames(list), err
}

// Fgetxattr returns the attribute attr of the open file fd; ENODATA where it
// has none.
func Fgetxattr(fd int, attr string) ([]byte, error) {
	return grow(128, func(buf []byte) (int, error) { return unix.Fgetxattr(fd, attr, buf) })
}

// Fsetxattr sets the attribute attr of the open file fd.
func Fsetxattr(fd int, attr string, value []byte) error {
	return Retry(func() error { return unix.Fsetxattr(fd, attr, value, 0) })
}

// grow calls get with a larger buffer for as long as it says ERANGE. The kernel
// holds no list and no value over 64 KiB (XATTR_LIST_MAX, XATTR_SIZE_MAX), so it
// ends.
func grow(size int, get func([]byte) (int, error)) ([]byte, error) {
	for {
		buf := make([]byte, size)
		n, err := get(buf)
		switch err {
		case nil:
			return buf[:n], nil
		case unix.EINTR:
		case unix.ERANGE:
			size *= 4
		default:
			return nil, err
		}
	}
}
