// SPDX-License-Identifier: Apache-2.0

// Package durable makes a change to the disk that is there whole after a power
// failure, or not at all, and holds the locks that order such changes between
// processes.
//
// Every name it is given is the plain name of an entry of an open directory.
// The order of the steps is the one that lost nothing and tore nothing when the
// power failed after each of its system calls, on ext4 and xfs: write aside,
// sync, rename, sync the parent.
package durable

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// A temporary name is this prefix and a random name.
const temporary = ".tmp-"

// IsTemporary tells whether name is what a write leaves behind when it is
// killed. Readers of a directory pass over such entries; whoever may be sure
// that nobody is writing may remove them.
func IsTemporary(name string) bool { return strings.HasPrefix(name, temporary) }

// WriteFile makes name in dir a file that holds data, in place of what had the
// name before. When it returns nil the file survives a power failure; after an
// error, or a kill, the old file is there as it was. The umask applies to mode.
// The directory must be open for reading: it is synced.
func WriteFile(dir *os.File, name string, data []byte, mode os.FileMode) error {
	if err := replace(dir, name, data, mode, true); err != nil {
		return err
	}
	return Sync(dir)
}

// WriteFileRelaxed is WriteFile without the syncs: a reader finds the old file
// or the new one and never a part, but a power failure may lose either. It is
// for records that mean nothing after a reboot.
func WriteFileRelaxed(dir *os.File, name string, data []byte, mode os.FileMode) error {
	return replace(dir, name, data, mode, false)
}

func replace(dir *os.File, name string, data []byte, mode os.FileMode, sync bool) (err error) {
	aside := temporary + RandomName()
	fd := int(dir.Fd())
	if err := writeNew(dir, aside, data, mode, sync); err != nil {
		return errors.Join(err, ignoreMissing(unix.Unlinkat(fd, aside, 0)))
	}
	if err := unix.Renameat(fd, aside, fd, name); err != nil {
		return errors.Join(linkError("rename", dir, aside, dir, name, err), unix.Unlinkat(fd, aside, 0))
	}
	return nil
}

func writeNew(dir *os.File, name string, data []byte, mode os.FileMode, sync bool) (err error) {
	fd, err := linux.OpenAt(int(dir.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, uint32(mode.Perm()))
	if err != nil {
		return pathError("create", dir, name, err)
	}
	f := os.NewFile(uintptr(fd), in(dir, name))
	defer func() { err = errors.Join(err, f.Close()) }() // close(2): the last chance to hear of a lost write
	if _, err := f.Write(data); err != nil {
		return err
	}
	if !sync {
		return nil
	}
	return wrap("fdatasync", f.Name(), linux.Retry(func() error { return unix.Fdatasync(fd) }))
}

// RenameNew gives the file or directory fromName of from the name toName in to.
// When toName exists nothing changes and the error is os.ErrExist: somebody else
// won, and what he published is as good. To publish durably, what is in the
// directory must be on disk already (SyncFS), and the parents are synced after
// (Sync, or in a Batch).
func RenameNew(from *os.File, fromName string, to *os.File, toName string) error {
	err := linux.Retry(func() error {
		return unix.Renameat2(int(from.Fd()), fromName, int(to.Fd()), toName, unix.RENAME_NOREPLACE)
	})
	if err != nil {
		return linkError("rename", from, fromName, to, toName, err)
	}
	return nil
}

// Sync puts the entries of the open directory f, or the content of the open
// file, on disk. A file's own fsync does not cover its name (fsync(2)).
func Sync(f *os.File) error {
	return wrap("fsync", f.Name(), linux.Retry(func() error { return unix.Fsync(int(f.Fd())) }))
}

// SyncFS puts everything on disk that was written to the filesystem that holds
// f, by whomever. The descriptor must not be one on an overlay: syncfs on a
// volatile overlay reaches no disk.
func SyncFS(f *os.File) error {
	return wrap("syncfs", f.Name(), linux.Retry(func() error { return unix.Syncfs(int(f.Fd())) }))
}

// RandomName returns 16 hexadecimal digits, so that two processes hardly ever
// choose the same name. It is no secret: create what it names exclusively.
func RandomName() string { return fmt.Sprintf("%016x", rand.Uint64()) }

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func in(dir *os.File, name string) string { return dir.Name() + "/" + name }

func wrap(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}

func pathError(op string, dir *os.File, name string, err error) error {
	return &os.PathError{Op: op, Path: in(dir, name), Err: err}
}

func linkError(op string, from *os.File, fromName string, to *os.File, toName string, err error) error {
	return &os.LinkError{Op: op, Old: in(from, fromName), New: in(to, toName), Err: err}
}
