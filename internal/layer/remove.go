// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"path"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// remove takes away an entry, and what is beneath it, that a later one of the
// same path replaces. The record keeps what the archive had there.
func (a *applier) remove(at spot) error {
	st, err := linux.Lstat(at.dir, at.base)
	if err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return a.removeDirectory(at)
	case unix.S_IFREG:
		if err := a.keep(at, st.Size); err != nil {
			return err
		}
	}
	delete(a.links, at.path)
	return unix.Unlinkat(at.dir, at.base, 0)
}

func (a *applier) removeDirectory(at spot) error {
	fd, err := linux.OpenAt(at.dir, at.base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	entries, err := linux.ReadDir(fd)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := a.remove(spot{fd, e.Name, path.Join(at.path, e.Name)}); err != nil {
			return err
		}
	}
	delete(a.dirs, at.path)
	a.dir.forget(at.path)
	return unix.Unlinkat(at.dir, at.base, unix.AT_REMOVEDIR)
}

func (a *applier) keep(at spot, size int64) error {
	if !a.rec.enabled() {
		return nil
	}
	fd, err := linux.OpenAt(at.dir, at.base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return a.rec.addKept(at.path, size, linux.FD(fd))
}
