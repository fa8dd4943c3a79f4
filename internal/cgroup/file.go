// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// read returns what is in a file of a cgroup, without the newline at its end. It
// opens no os.File, for which Go would begin to poll.
func read(path string) (string, error) {
	fd, err := linux.OpenAt(unix.AT_FDCWD, path, unix.O_RDONLY, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var text []byte
	buf := make([]byte, 4096)
	for {
		n, err := linux.FD(fd).Read(buf)
		text = append(text, buf[:n]...)
		if err == io.EOF {
			return strings.TrimSuffix(string(text), "\n"), nil
		}
		if err != nil {
			return "", &os.PathError{Op: "read", Path: path, Err: err}
		}
	}
}

// write puts a value into a file of a cgroup: one write(2), which the kernel
// takes whole or refuses.
func write(path, value string) error {
	fd, err := linux.OpenAt(unix.AT_FDCWD, path, unix.O_WRONLY, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if _, err := linux.FD(fd).Write([]byte(value)); err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}
