// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Read describes what the directory dir holds, as New would give it. Attributes
// that overlay keeps for itself, and SELinux's label, are left out; nested
// overlays' escaped attributes (*.overlay.overlay.*) are kept. It ends the test
// where it cannot read.
func Read(t T, dir string, opts ...Option) Tree {
	t.Helper()
	r := reader{root: dir, opts: opts, links: map[inode]string{}}
	if err := filepath.WalkDir(dir, r.visit); err != nil {
		t.Fatalf("read tree: %v", err)
	}
	return r.tree
}

type inode struct{ dev, ino uint64 }

type reader struct {
	root  string
	opts  []Option
	links map[inode]string // the first path of each file with several names
	tree  Tree
}

func (r *reader) has(o Option) bool { return slices.Contains(r.opts, o) }

func (r *reader) visit(name string, _ fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(r.root, name)
	if err != nil || rel == "." && !r.has(WithRoot) {
		return err
	}
	e, err := r.entry(name, rel)
	if err != nil {
		return &fs.PathError{Op: "read entry", Path: name, Err: err}
	}
	r.tree = append(r.tree, e)
	return nil
}

func (r *reader) entry(name, rel string) (Entry, error) {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return Entry{}, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 && !r.has(NoMarks) {
		return Whiteout(rel), nil
	}
	if first, ok := r.links[inode{st.Dev, st.Ino}]; ok {
		return HardLink(rel, first), nil
	}
	if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		r.links[inode{st.Dev, st.Ino}] = rel
	}
	e := Entry{Path: rel, Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if !r.has(NoTimes) && !(isDir && r.has(NoDirTimes)) {
		e.Mtime = time.Unix(st.Mtim.Unix()).UTC()
	}
	if err := r.content(name, &st, &e); err != nil {
		return e, err
	}
	return e, r.xattrs(name, &e)
}

func (r *reader) content(name string, st *unix.Stat_t, e *Entry) (err error) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Kind = KindFile
		var content []byte
		content, err = os.ReadFile(name)
		e.Content = string(content)
	case unix.S_IFDIR:
		e.Kind = KindDir
	case unix.S_IFLNK:
		e.Kind = KindSymlink
		e.Target, err = os.Readlink(name)
	case unix.S_IFIFO:
		e.Kind = KindFifo
	case unix.S_IFSOCK:
		e.Kind = KindSocket
	case unix.S_IFCHR:
		e.Kind, e.Major, e.Minor = KindChar, unix.Major(st.Rdev), unix.Minor(st.Rdev)
	case unix.S_IFBLK:
		e.Kind, e.Major, e.Minor = KindBlock, unix.Major(st.Rdev), unix.Minor(st.Rdev)
	}
	return err
}

func (r *reader) xattrs(name string, e *Entry) error {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(name, list)
	if err == unix.ENOTSUP {
		return nil
	} else if err != nil {
		return err
	}
	for attr := range strings.SplitSeq(string(list[:n]), "\x00") {
		if attr == "" || attr == "security.selinux" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(name, attr, value)
		if err != nil {
			return err
		}
		r.keep(e, attr, string(value[:n]))
	}
	return nil
}

func (r *reader) keep(e *Entry, attr, value string) {
	if attr == opaqueAttr(r.opts) && value == "y" && !r.has(NoMarks) {
		e.Opaque = true
	}
	if !isOverlays(attr) || r.has(AllXattrs) {
		Xattr(attr, value)(e)
	}
}

// isOverlays reports whether overlay itself made the attribute.
func isOverlays(attr string) bool {
	for _, prefix := range []string{"trusted.overlay.", "user.overlay."} {
		if rest, ok := strings.CutPrefix(attr, prefix); ok && !strings.HasPrefix(rest, "overlay.") {
			return true
		}
	}
	return false
}
