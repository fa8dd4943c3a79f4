// SPDX-License-Identifier: Apache-2.0

// Package tree describes file trees as data, for tests only: a test says what
// a directory holds, creates it, reads another one back and compares the two
// with go-cmp.
//
// Overlay's marks are data too: a whiteout is an entry, an opaque directory a
// field, so that a tree can be a layer as well as a root filesystem.
package tree

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Kind is the type of an entry.
type Kind string

const (
	KindFile     Kind = "file"
	KindDir      Kind = "dir"
	KindSymlink  Kind = "symlink"
	KindHardLink Kind = "hardlink" // another name of the file at Target
	KindChar     Kind = "char"
	KindBlock    Kind = "block"
	KindFifo     Kind = "fifo"
	KindSocket   Kind = "socket"
	KindWhiteout Kind = "whiteout" // character device 0:0; nothing but its path counts
)

// Entry is one name of a tree. The path is relative, with slashes, and "." is
// the tree's own directory. A hard link has a path and a target and nothing
// else: the rest stands at its target, the group's first name in path order.
type Entry struct {
	Path         string
	Kind         Kind
	Mode         uint32 // permission, set-id and sticky bits
	UID, GID     uint32
	Mtime        time.Time
	Content      string // of a file
	Target       string // of a symbolic or hard link
	Major, Minor uint32 // of a device
	Xattrs       map[string]string
	Opaque       bool // a directory that hides what lower layers have there
}

// Mod changes an entry while it is constructed.
type Mod func(*Entry)

// Mtime is the modification time of every entry that names no other.
var Mtime = time.Unix(1_600_000_000, 0).UTC()

// File is a regular file, 0644.
func File(name, content string, mods ...Mod) Entry {
	return entry(Entry{Path: name, Kind: KindFile, Mode: 0o644, Content: content}, mods)
}

// Dir is a directory, 0755.
func Dir(name string, mods ...Mod) Entry {
	return entry(Entry{Path: name, Kind: KindDir, Mode: 0o755}, mods)
}

// Symlink is a symbolic link to target.
func Symlink(name, target string, mods ...Mod) Entry {
	return entry(Entry{Path: name, Kind: KindSymlink, Mode: 0o777, Target: target}, mods)
}

// HardLink is another name of the file at target, a path of the same tree.
func HardLink(name, target string) Entry {
	return Entry{Path: path.Clean(name), Kind: KindHardLink, Target: path.Clean(target)}
}

// Fifo is a named pipe, 0644.
func Fifo(name string, mods ...Mod) Entry {
	return entry(Entry{Path: name, Kind: KindFifo, Mode: 0o644}, mods)
}

// Socket is a bound socket, 0755 as bind(2) leaves it.
func Socket(name string, mods ...Mod) Entry {
	return entry(Entry{Path: name, Kind: KindSocket, Mode: 0o755}, mods)
}

// Char is a character device, 0644.
func Char(name string, major, minor uint32, mods ...Mod) Entry {
	return entry(Entry{Path: name, Kind: KindChar, Mode: 0o644, Major: major, Minor: minor}, mods)
}

// Block is a block device, 0644.
func Block(name string, major, minor uint32, mods ...Mod) Entry {
	return entry(Entry{Path: name, Kind: KindBlock, Mode: 0o644, Major: major, Minor: minor}, mods)
}

// Whiteout hides the name in lower layers.
func Whiteout(name string) Entry { return Entry{Path: path.Clean(name), Kind: KindWhiteout} }

// Mode sets permission, set-id and sticky bits.
func Mode(mode uint32) Mod { return func(e *Entry) { e.Mode = mode } }

// Owner sets user and group.
func Owner(uid, gid uint32) Mod { return func(e *Entry) { e.UID, e.GID = uid, gid } }

// Time sets the modification time, in seconds since the epoch.
func Time(seconds int64) Mod { return func(e *Entry) { e.Mtime = time.Unix(seconds, 0).UTC() } }

// TimeNano sets the modification time, in nanoseconds since the epoch.
func TimeNano(nano int64) Mod { return func(e *Entry) { e.Mtime = time.Unix(0, nano).UTC() } }

// Xattr adds an extended attribute.
func Xattr(name, value string) Mod {
	return func(e *Entry) {
		e.Xattrs = maps.Clone(e.Xattrs)
		if e.Xattrs == nil {
			e.Xattrs = map[string]string{}
		}
		e.Xattrs[name] = value
	}
}

// Opaque marks a directory opaque.
func Opaque(e *Entry) { e.Opaque = true }

func entry(e Entry, mods []Mod) Entry {
	e.Path, e.Mtime = path.Clean(e.Path), Mtime
	for _, mod := range mods {
		mod(&e)
	}
	return e
}

// Tree is a list of entries in path order, each directory before what it holds.
type Tree []Entry

// New sorts the entries and adds the parents that are not among them. Of two
// entries with one path the later counts.
func New(entries ...Entry) Tree {
	byPath := map[string]Entry{}
	for _, e := range entries {
		for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
			if _, ok := byPath[dir]; ok { // with its own parents
				break
			}
			byPath[dir] = Dir(dir)
		}
		byPath[e.Path] = e
	}
	return slices.SortedFunc(maps.Values(byPath), func(a, b Entry) int { return ComparePaths(a.Path, b.Path) })
}

// With is the tree with these entries added or put in the place of those of
// the same path.
func (tr Tree) With(entries ...Entry) Tree { return New(slices.Concat(tr, entries)...) }

// Without is the tree with these paths, and all beneath them, taken out.
func (tr Tree) Without(paths ...string) Tree {
	return slices.DeleteFunc(slices.Clone(tr), func(e Entry) bool {
		return slices.ContainsFunc(paths, func(p string) bool { return e.Path == p || strings.HasPrefix(e.Path, p+"/") })
	})
}

// Map is the tree with every entry changed by f.
func (tr Tree) Map(f func(*Entry)) Tree {
	out := slices.Clone(tr)
	for i := range out {
		f(&out[i])
	}
	return out
}

// Paths lists the paths.
func (tr Tree) Paths() []string {
	var paths []string
	for _, e := range tr {
		paths = append(paths, e.Path)
	}
	return paths
}

// ComparePaths orders paths by their components in byte order, as a walk of
// sorted directories meets them: "a" < "a/b" < "a.b".
func ComparePaths(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == ".": // the root comes before everything
		return -1
	case b == ".":
		return 1
	}
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}
