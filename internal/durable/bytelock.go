// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// A ByteLock is an exclusive lock on one byte of a file, which need not be there:
// as many locks as there are numbers, and no file for each that nobody may ever
// unlink. It belongs to the open file, as Lock does (fcntl(2), "Open file
// description locks").
type ByteLock struct{ f *os.File }

// TryByte locks the byte of f at offset at, or returns ErrLocked. On success the
// ByteLock owns f; on error f stays the caller's.
func TryByte(f *os.File, at int64) (*ByteLock, error) { return lockByte(f, at, unix.F_OFD_SETLK) }

// Byte is TryByte that waits.
func Byte(f *os.File, at int64) (*ByteLock, error) { return lockByte(f, at, unix.F_OFD_SETLKW) }

func lockByte(f *os.File, at int64, command int) (*ByteLock, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: 1}
	for {
		err := unix.FcntlFlock(f.Fd(), command, &lock)
		switch err {
		case nil:
			return &ByteLock{f}, nil
		case unix.EINTR:
			continue
		case unix.EAGAIN, unix.EACCES:
			return nil, wrap("lock", f.Name(), ErrLocked)
		}
		return nil, wrap("lock", f.Name(), err)
	}
}

// Close gives the lock back.
func (l *ByteLock) Close() error { return l.f.Close() }
