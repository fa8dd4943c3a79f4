// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/overlay"
)

// attributes are what a directory has beside its entries.
type attributes struct {
	st     unix.Stat_t
	xattrs map[string][]byte
}

// same tells whether two directories show the same but for what is in them. Their
// time is no reason for a completion.
func (a attributes) same(b attributes) bool {
	return a.st.Mode == b.st.Mode && a.st.Uid == b.st.Uid && a.st.Gid == b.st.Gid && maps.EqualFunc(a.xattrs, b.xattrs, bytes.Equal)
}

// completer makes a tree of the directories that a layer implies, with the
// attributes that the layers beneath give them.
type completer struct {
	marks   overlay.Marks
	beneath int // the merged layers beneath
	layer   int // the layer's own tree
	given   map[string]attributes
}

// look finds what the implied directory p has in the layers beneath, and notes it
// in given if it is not what the layer's own has.
func (c *completer) look(p string) error {
	hidden, err := c.hidden(p)
	if err != nil || hidden {
		return err
	}
	a, err := c.read(c.beneath, p)
	switch err {
	case nil:
		own, err := c.read(c.layer, p)
		if err == nil && !a.same(own) {
			c.given[p] = a
		}
		return err
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP: // nothing there, or something that the layer's directory replaces
		return nil
	}
	return err
}

// hidden tells whether the layer has an opaque directory at p or above it: then
// what is beneath does not show.
func (c *completer) hidden(p string) (bool, error) {
	for _, dir := range prefixes(p) {
		fd, err := linux.OpenBeneath(c.layer, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return false, err
		}
		opaque, err := c.marks.Opaque(fd, ".")
		unix.Close(fd)
		if opaque || err != nil {
			return opaque, err
		}
	}
	return false, nil
}

// prefixes are "." and the directories on the way to p, and p.
func prefixes(p string) []string {
	list := []string{"."}
	if p == "." {
		return list
	}
	for i, c := range p {
		if c == '/' {
			list = append(list, p[:i])
		}
	}
	return append(list, p)
}

func (c *completer) read(root int, p string) (a attributes, err error) {
	fd, err := linux.OpenBeneath(root, p, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return a, err
	}
	defer unix.Close(fd)
	if a.st, err = linux.Fstat(fd); err != nil {
		return a, err
	}
	names, err := linux.Llistxattr(fd, ".")
	if err != nil {
		return a, err
	}
	a.xattrs = make(map[string][]byte)
	for _, name := range names {
		if c.marks.IsMark(name) || name == "security.selinux" || name == "security.evm" { // the overlay's and the host's
			continue
		}
		if a.xattrs[name], err = linux.Lgetxattr(fd, ".", name); err != nil {
			return a, err
		}
	}
	return a, nil
}

// build makes the tree in the empty directory root. The directories on the way
// to an implied one go over the layer's too, and get what the layer gives them.
func (c *completer) build(root int) error {
	all := make(map[string]attributes)
	for p := range c.given {
		for _, dir := range prefixes(p) {
			a, ok := c.given[dir]
			if _, done := all[dir]; done {
				continue
			}
			if !ok {
				var err error
				if a, err = c.read(c.layer, dir); err != nil {
					return err
				}
			}
			all[dir] = a
		}
	}
	paths := slices.SortedFunc(maps.Keys(all), byDepth)
	for _, p := range paths {
		if err := ignoreExist(unix.Mkdirat(root, p, 0o700)); err != nil { // "." is there
			return err
		}
	}
	for _, p := range slices.Backward(paths) { // what is made in a directory changes its time
		if err := all[p].set(root, p); err != nil {
			return err
		}
	}
	return nil
}

// byDepth puts parents first.
func byDepth(a, b string) int {
	if d := depth(a) - depth(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

func depth(p string) int {
	if p == "." {
		return 0
	}
	return 1 + strings.Count(path.Clean(p), "/")
}

// set gives the directory p the attributes: the owner first, because a change of
// owner takes away others.
func (a attributes) set(root int, p string) error {
	fd, err := linux.OpenBeneath(root, p, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fchown(fd, int(a.st.Uid), int(a.st.Gid)); err != nil {
		return err
	}
	for name, value := range a.xattrs {
		if err := linux.Lsetxattr(fd, ".", name, value); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(fd, a.st.Mode&0o7777); err != nil {
		return err
	}
	return unix.UtimesNanoAt(fd, ".", []unix.Timespec{a.st.Mtim, a.st.Mtim}, 0)
}
