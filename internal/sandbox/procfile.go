// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// readSmall and writeSmall are for files of procfs and sysfs that hold a line or
// a few, past the poller that os.ReadFile would start for them.
func readSmall(path string) (string, error) {
	fd, err := linux.OpenAt(unix.AT_FDCWD, path, unix.O_RDONLY, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := linux.FD(fd).Read(buf)
	return string(buf[:n]), err
}

func writeSmall(path, text string) error {
	fd, err := linux.OpenAt(unix.AT_FDCWD, path, unix.O_WRONLY, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if _, err = linux.FD(fd).Write([]byte(text)); err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// writeFile adds the calls that write a file beneath the root to be.
func (p *preparation) writeFile(name, path, text string) {
	open := newCall(name, unix.SYS_OPENAT, cwd, p.list.String(path), unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	open.Save = true
	write := newCall(name+" to "+Quote(text), unix.SYS_WRITE, 0, p.list.String(text), uintptr(len(text)))
	write.Saved = true
	p.list.Add(open, write, closeSaved("close "+path))
}
