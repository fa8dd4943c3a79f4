// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// hardLink gives a file of this layer another name. Its attributes stay those
// of the file's own entry. The target is never looked for in lower layers or
// through a symbolic link, and never outside.
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
	dir, base := split(target)
	parent, err := linux.OpenBeneath(a.root, dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return missing(err)
	}
	defer unix.Close(parent)
	st, err := linux.Lstat(parent, base)
	if err != nil {
		return missing(err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return errors.New("it is a directory")
	}
	return a.create(at, func() error { return unix.Linkat(parent, base, at.dir, at.base, 0) })
}

func missing(err error) error {
	switch err {
	case unix.ENOENT, unix.ENOTDIR:
		return errors.New("this layer has no such file")
	case unix.ELOOP:
		return errors.New("it leads through a symbolic link")
	}
	return err
}
