// SPDX-License-Identifier: Apache-2.0

// Package linux is the thin layer over system calls: retried when a signal
// interrupts them, confined beneath a directory handle where a name is not
// ours, and with errors that name the call and its object.
//
// It knows nothing of containers, images or stores.
package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// Retry calls f until it fails with something other than EINTR. Go's runtime
// preempts with signals, so every slow system call can be interrupted
// (signal(7), "Interruption of system calls").
func Retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// OpenDir opens the directory at path for use as a handle: it can be read,
// synced and locked, and the *at calls resolve beneath it.
func OpenDir(path string) (*os.File, error) {
	fd, err := OpenAt(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// OpenAt is openat(2) with close-on-exec. The name is followed as usual: use it
// only for names that are ours, and OpenBeneath or OpenInRoot for the rest.
func OpenAt(dir int, name string, flags int, mode uint32) (fd int, err error) {
	err = Retry(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// OpenBeneath opens name beneath dir without following any symbolic link, in
// the last component or before it, and without leaving dir (openat2(2),
// RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS).
func OpenBeneath(dir int, name string, flags int, mode uint32) (int, error) {
	return openat2(dir, name, flags, mode, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
}

// OpenInRoot opens name with dir as its root directory: absolute links and ".."
// stay inside, magic links of procfs are refused (openat2(2), RESOLVE_IN_ROOT).
// It is how a path inside a container is found from outside
// (CVE-2021-30465, CVE-2018-15664).
func OpenInRoot(dir int, name string, flags int, mode uint32) (int, error) {
	return openat2(dir, name, flags, mode, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
}

func openat2(dir int, name string, flags int, mode uint32, resolve uint64) (fd int, err error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Mode: uint64(mode), Resolve: resolve}
	err = Retry(func() error {
		fd, err = unix.Openat2(dir, name, &how)
		if err == unix.EAGAIN { // a rename raced with the resolution: openat2(2) says to try again
			return unix.EINTR
		}
		return err
	})
	return fd, err
}

// Lstat describes the entry name of dir, not what a link points to.
func Lstat(dir int, name string) (st unix.Stat_t, err error) {
	err = Retry(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return st, err
}

// Fstat describes the open file fd.
func Fstat(fd int) (st unix.Stat_t, err error) {
	err = Retry(func() error { return unix.Fstat(fd, &st) })
	return st, err
}

// Reopen opens for reading the directory that f only refers to, as descriptors
// opened with O_PATH and those of detached mounts do.
func Reopen(f *os.File) (*os.File, error) {
	fd, err := OpenAt(int(f.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: f.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// Readlink reads the symbolic link called name in dir.
func Readlink(dir int, name string) (target string, err error) {
	buf := make([]byte, unix.PathMax)
	err = Retry(func() error {
		n, err := unix.Readlinkat(dir, name, buf)
		target = string(buf[:max(n, 0)])
		return err
	})
	return target, err
}
