// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// ErrTooLarge is the cause when ReadFile meets a file over its limit.
var ErrTooLarge = errors.New("file too large")

// ReadFile reads the file that WriteFile wrote. The name may be a path of ours
// beneath dir. A file larger than limit bytes, a symbolic link and a directory
// are errors, and a FIFO does not block.
func ReadFile(dir *os.File, name string, limit int) ([]byte, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK
	fd, err := linux.OpenAt(int(dir.Fd()), name, flags, 0)
	if err != nil {
		return nil, pathError("open", dir, name, err)
	}
	defer unix.Close(fd)
	data, err := readAll(fd, limit)
	if err != nil {
		return nil, pathError("read", dir, name, err)
	}
	return data, nil
}

// readAll uses bare descriptors: an os.File's poller and finalizer cost more
// than reading a record does.
func readAll(fd, limit int) ([]byte, error) {
	buf := make([]byte, 0, min(limit, 4<<10)+1)
	for {
		var n int
		err := linux.Retry(func() (err error) { n, err = unix.Read(fd, buf[len(buf):cap(buf)]); return err })
		if err != nil {
			return nil, err
		}
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > limit:
			return nil, ErrTooLarge
		case n == 0:
			return buf, nil
		case len(buf) == cap(buf):
			buf = append(make([]byte, 0, min(2*cap(buf), limit+1)), buf...)
		}
	}
}
