// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// ErrLocked is what TryExclusive and TryShare return when somebody else holds
// the lock.
var ErrLocked = errors.New("locked by another process")

// Lock is a flock(2) on a file or a directory. It belongs to the open file, not
// to the process: two opens of one path exclude each other even within a
// process, and the lock is free once the last descriptor of the open file is
// closed, be it by SIGKILL. A child that inherits the descriptor keeps the lock.
//
// The file of a lock is never unlinked: two processes could then each hold "the"
// lock, one of the old file and one of the new.
type Lock struct{ f *os.File }

// Share waits for a shared lock on f. Any number hold it at once, and none while
// one holds it exclusive. On success the Lock owns f; on error f stays the
// caller's.
func Share(f *os.File) (*Lock, error) { return flock(f, unix.LOCK_SH) }

// Exclusive waits for the lock that nobody shares. Ownership of f is as in Share.
func Exclusive(f *os.File) (*Lock, error) { return flock(f, unix.LOCK_EX) }

// TryExclusive takes the exclusive lock if it is free, and returns ErrLocked if
// it is not. Ownership of f is as in Share.
func TryExclusive(f *os.File) (*Lock, error) { return flock(f, unix.LOCK_EX|unix.LOCK_NB) }

// TryShare takes the shared lock if nobody holds the exclusive one, and returns
// ErrLocked otherwise. Ownership of f is as in Share.
func TryShare(f *os.File) (*Lock, error) { return flock(f, unix.LOCK_SH|unix.LOCK_NB) }

func flock(f *os.File, how int) (*Lock, error) {
	err := linux.Retry(func() error { return unix.Flock(int(f.Fd()), how) })
	if err == unix.EWOULDBLOCK {
		err = ErrLocked
	}
	if err != nil {
		return nil, wrap("lock", f.Name(), err)
	}
	return &Lock{f}, nil
}

// IsLocked reports whether somebody else holds the exclusive lock on f, at this
// moment.
func IsLocked(f *os.File) (bool, error) {
	_, err := TryShare(f)
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	if err == nil {
		err = os.NewSyscallError("flock", unix.Flock(int(f.Fd()), unix.LOCK_UN))
	}
	return false, err
}

// File is the locked file, for use while the lock is held; Close closes it.
func (l *Lock) File() *os.File { return l.f }

// Close closes the file and with it gives the lock back, unless a child holds
// the descriptor too.
func (l *Lock) Close() error { return l.f.Close() }
