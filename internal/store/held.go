// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
)

// held tells whether somebody reads an entry of the trash: a layer, or a
// container, whose tree is a directory in it that he has locked, shared. He did
// before it came here, and then looked that it had not. Trees are one level
// down, so no deeper is looked for locks.
func held(trash *os.File, name string) bool {
	fd, err := linux.OpenHere(int(trash.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil { // a file, or something to be reported by the remover
		return false
	}
	dir := os.NewFile(uintptr(fd), trash.Name()+"/"+name)
	defer dir.Close()
	entries, err := linux.ReadDir(fd)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if e.Type != unix.DT_REG && locked(dir, e.Name) {
			return true
		}
	}
	return false
}

func locked(dir *os.File, name string) bool {
	fd, err := linux.OpenHere(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), dir.Name()+"/"+name)
	lock, err := durable.TryExclusive(f)
	if err != nil {
		f.Close()
		return errors.Is(err, durable.ErrLocked)
	}
	lock.Close()
	return false
}
