// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// hardLink gives a file another name. Its attributes stay those of the file's
// own entry. The target is never looked for through a symbolic link of this
// layer, and never outside.
func (a *applier) hardLink(at spot, hdr *tar.Header) error {
	target, err := a.opts.cleanName(hdr.Linkname)
	if err == nil {
		err = a.linkTo(at, target)
	}
	if err != nil {
		return fmt.Errorf("hard link to %s: %w", show(hdr.Linkname), err)
	}
	return nil
}

func (a *applier) linkTo(at spot, target string) error {
	if target == at.path || strings.HasPrefix(target, at.path+"/") {
		return errors.New("it would replace its own target")
	}
	if _, ok := a.leftOut[target]; ok {
		return a.leaveOut(at)
	}
	if beneath, ok := a.links[target]; ok {
		return a.linkBeneath(at, beneath)
	}
	dir, base := split(target)
	parent, err := linux.OpenBeneath(a.root, dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err == unix.ENOENT {
		return a.linkBeneath(at, target)
	} else if err != nil {
		return missing(err)
	}
	defer unix.Close(parent)
	st, err := linux.Lstat(parent, base)
	switch {
	case err == unix.ENOENT:
		return a.linkBeneath(at, target)
	case err != nil:
		return missing(err)
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return errors.New("it is a directory")
	}
	return a.create(at, func() error { return unix.Linkat(parent, base, at.dir, at.base, 0) })
}

func missing(err error) error {
	switch err {
	case unix.ENOTDIR:
		return errMissing
	case unix.ELOOP:
		return errors.New("it leads through a symbolic link")
	}
	return err
}

var errMissing = errors.New("this layer has no such file")

// linkBeneath notes a hard link to a file of the layers beneath. Until the end an
// empty file keeps its place, for entries that come later.
func (a *applier) linkBeneath(at spot, target string) error {
	means, _, err := classify(target)
	switch {
	case err != nil || means != plain || a.opts.Linked == nil:
		return errMissing
	case a.hides(target):
		return errors.New("this layer has no such file and hides that of the layers beneath")
	}
	fd := -1
	err = a.create(at, func() (err error) {
		fd, err = linux.OpenAt(at.dir, at.base, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	a.links[at.path] = strings.Clone(target) // as in entry
	return errors.Join(unix.Close(fd), a.note(at.path), a.note(target))
}

// hides reports whether the entries so far hide what lower layers have at the
// path name. Whiteouts hide whatever their position, but a link is to what was
// there when it was made: one that a later whiteout moves away stays whole.
func (a *applier) hides(name string) bool {
	for name != "." {
		if _, ok := a.whiteouts[name]; ok {
			return true
		}
		name, _ = split(name)
		if _, ok := a.opaques[name]; ok {
			return true
		}
	}
	return false
}

// giveLinks puts whiteouts in the places of the links to lower layers, and tells
// the caller of them.
func (a *applier) giveLinks() error {
	for _, name := range slices.Sorted(maps.Keys(a.links)) {
		dir, base, err := a.parent(name)
		if err == nil {
			err = unix.Unlinkat(dir, base, 0)
		}
		if err == nil {
			err = a.makeWhiteout(dir, base)
		}
		if err != nil {
			return fmt.Errorf("hard link %s: %w", show(name), err)
		}
		a.opts.Linked(name, a.links[name])
	}
	return nil
}
