// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"maps"
	"os"
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
// attributes that the layers beneath give them, and of copies of the files that
// its hard links mean.
type completer struct {
	marks   overlay.Marks
	beneath int // the merged layers beneath
	layer   int // the layer's own tree
	given   map[string]attributes
	files   []linked
}

func newCompleter(m overlay.Marks, beneath, layer *os.File) *completer {
	return &completer{marks: m, beneath: int(beneath.Fd()), layer: int(layer.Fd()), given: make(map[string]attributes)}
}

// empty tells whether there is nothing to complete.
func (c *completer) empty() bool { return len(c.given) == 0 && len(c.files) == 0 }

// look finds what the layers beneath have for all that the layer implies.
func (c *completer) look(i implied) error {
	for _, p := range i.directories {
		if err := c.lookDirectory(p); err != nil {
			return &os.PathError{Op: "look up", Path: p, Err: err}
		}
	}
	for _, l := range i.links {
		if err := c.lookLink(l); err != nil {
			return err
		}
	}
	return nil
}

// lookDirectory finds what the implied directory p has in the layers beneath, and
// notes it in given if it is not what the layer's own has.
func (c *completer) lookDirectory(p string) error {
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
	a.xattrs, err = c.readXattrs(fd, ".")
	return a, err
}

// readXattrs returns the attributes of an entry, but for the overlay's and the
// host's.
func (c *completer) readXattrs(dir int, base string) (map[string][]byte, error) {
	names, err := linux.Llistxattr(dir, base)
	if err != nil {
		return nil, err
	}
	xattrs := make(map[string][]byte)
	for _, name := range names {
		if c.marks.IsMark(name) || name == "security.selinux" || name == "security.evm" {
			continue
		}
		if xattrs[name], err = linux.Lgetxattr(dir, base, name); err != nil {
			return nil, err
		}
	}
	return xattrs, nil
}

// build makes the tree in the empty directory root.
func (c *completer) build(root int) error {
	all, err := c.directories()
	if err != nil {
		return err
	}
	paths := slices.SortedFunc(maps.Keys(all), byDepth)
	for _, p := range paths {
		if err := ignoreExist(unix.Mkdirat(root, p, 0o700)); err != nil { // "." is there
			return err
		}
	}
	if err := c.copyFiles(root); err != nil {
		return err
	}
	for _, p := range slices.Backward(paths) { // what is made in a directory changes its time
		if err := all[p].set(root, p); err != nil {
			return err
		}
	}
	return nil
}

// directories are those of the tree. The ones on the way go over the layer's too,
// and get what the layer gives them.
func (c *completer) directories() (map[string]attributes, error) {
	all := maps.Clone(c.given)
	leaves := slices.Collect(maps.Keys(c.given))
	for _, f := range c.files {
		leaves = append(leaves, path.Dir(f.path))
	}
	for _, p := range leaves {
		for _, dir := range prefixes(p) {
			if _, done := all[dir]; done {
				continue
			}
			a, err := c.read(c.layer, dir)
			if err != nil {
				return nil, err
			}
			all[dir] = a
		}
	}
	return all, nil
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
