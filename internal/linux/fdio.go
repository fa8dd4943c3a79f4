// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"io"
	"strconv"

	"golang.org/x/sys/unix"
)

// FD reads and writes a bare descriptor. It owns nothing: whoever opened the
// descriptor closes it. For tens of thousands of small files it saves what
// os.File costs each time, a finalizer and a try at the poller.
type FD int

// Read is read(2); io.EOF at the end of the file.
func (fd FD) Read(p []byte) (n int, err error) {
	err = Retry(func() error { n, err = unix.Read(int(fd), p); return err })
	switch {
	case err != nil:
		return 0, err
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write is write(2), repeated until all of p is written.
func (fd FD) Write(p []byte) (written int, err error) {
	for written < len(p) {
		var n int
		err = Retry(func() error { n, err = unix.Write(int(fd), p[written:]); return err })
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// Chmod sets the mode of the entry name of dir and never follows a link there:
// the entry is pinned by an O_PATH descriptor first, since fchmodat(2) has no
// AT_SYMLINK_NOFOLLOW before 6.6. A symbolic link is ELOOP.
func Chmod(dir int, name string, mode uint32) error {
	fd, err := OpenAt(dir, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	st, err := Fstat(fd)
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.ELOOP
	}
	return Retry(func() error { return unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode) })
}
