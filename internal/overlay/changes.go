// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// The kinds of a Change, as docker diff prints them.
const (
	Added    byte = 'A'
	Modified byte = 'C'
	Deleted  byte = 'D'
)

// Change is one path of the merged view that is not as the lowers have it. It
// is good until the iteration goes on.
type Change struct {
	Path string // from the root: "/etc/profile"
	Kind byte   // Added, Modified or Deleted

	walk *walk
	dir  int    // the upperdir's directory that has it
	name string // in dir
	old  *entry // what the lowers have; nil when Added
}

// Changes lists what the upperdir changes in the merged view of the lowers
// (oldest first), in path order, parents before what they hold. It reads the
// upperdir, never the whole of the lowers. The root itself is not listed.
//
// The meaning is Docker's: a removed directory is one D, a directory with
// changes in it is C, where the type of a path changed it is C and what the new
// directory holds is A. What was copied up and is the same again, byte by byte
// and in mode, owner, modification time and attributes, is not listed.
//
// An upperdir in use may be read; what changes meanwhile may or may not be seen.
// Marks of features that Mount turns off (metacopy, redirect_dir) are errors: an
// upperdir that has them is not from here, and is not what it seems. After an
// error the iteration ends.
func Changes(upper *os.File, lowers []*os.File, m Marks) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		w := walk{marks: m, yield: yield}
		lower, err := rootView(lowers, m)
		if err == nil {
			err = w.dir(&dir{fd: int(upper.Fd()), lower: lower})
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(Change{}, err)
		}
	}
}

var errStop = errors.New("iteration stopped by its caller")

// walk is one descent through an upperdir.
type walk struct {
	marks   Marks
	yield   func(Change, error) bool
	pending []Change // ancestors that are listed only if something in them is
	old     []byte   // for comparing contents
	new     []byte
}

// dir is a directory of the upperdir and what the lowers have at its path.
type dir struct {
	path   string // "" for the root
	fd     int
	lower  view
	opaque bool            // nothing of lower is seen through it
	names  map[string]bool // what lower shows, where that was worth reading
}

func (d *dir) join(name string) string { return d.path + "/" + name }

func (d *dir) fail(name string, err error) error {
	return fmt.Errorf("read changes of %s: %w", d.join(name), err)
}

func (w *walk) dir(d *dir) error {
	entries, err := linux.ReadDir(d.fd)
	if err != nil {
		return d.fail("", err)
	}
	all, err := d.lower.fewerThan(len(entries))
	if err == nil && (all || d.opaque) {
		d.names, err = d.lower.names()
	}
	if err != nil {
		return d.fail("", err)
	}
	if d.opaque {
		entries = d.withGone(entries)
	}
	for _, e := range entries {
		if err := w.entry(d, e); err != nil {
			return err
		}
	}
	return nil
}

// withGone adds the names that only the lowers have, for an opaque directory.
func (d *dir) withGone(entries []linux.Dirent) []linux.Dirent {
	here := make(map[string]bool, len(entries))
	for _, e := range entries {
		here[e.Name] = true
	}
	for name, shown := range d.names {
		if shown && !here[name] {
			entries = append(entries, linux.Dirent{Name: name, Type: typeGone})
		}
	}
	slices.SortFunc(entries, func(a, b linux.Dirent) int { return strings.Compare(a.Name, b.Name) })
	return entries
}

// typeGone stands for a name that an opaque directory hides; no d_type has it.
const typeGone = 0xff

func (w *walk) entry(d *dir, e linux.Dirent) error {
	if len(d.lower) == 0 || d.names != nil && !d.names[e.Name] {
		return w.added(d, e)
	}
	old, err := d.lower.find(e.Name)
	if err != nil {
		return d.fail(e.Name, err)
	}
	c := Change{Path: d.join(e.Name), walk: w, dir: d.fd, name: e.Name, old: old}
	if e.Type == typeGone {
		c.Kind = Deleted
		return w.emit(c)
	}
	st, err := linux.Lstat(d.fd, e.Name)
	switch {
	case err == unix.ENOENT: // gone since the directory was read
		return nil
	case err != nil:
		return d.fail(e.Name, err)
	case old == nil:
		return w.added(d, e)
	case IsWhiteout(&st):
		c.Kind = Deleted
		return w.emit(c)
	}
	return w.both(d, c, st)
}

// added lists an entry that no lower has. A type that the directory tells is
// believed: whole trees of new files cost no system call per file.
func (w *walk) added(d *dir, e linux.Dirent) error {
	hidden, err := isWhiteoutAt(d.fd, e)
	if err != nil {
		return d.fail(e.Name, err)
	}
	if hidden {
		return nil
	}
	if err := w.emit(Change{Path: d.join(e.Name), Kind: Added, walk: w, dir: d.fd, name: e.Name}); err != nil {
		return err
	}
	if e.Type != unix.DT_DIR && e.Type != unix.DT_UNKNOWN {
		return nil
	}
	return w.descend(d, e.Name, nil)
}

// both is a path that the upperdir and the lowers have.
func (w *walk) both(d *dir, c Change, st unix.Stat_t) error {
	c.Kind = Modified
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		if err := w.marks.refuseParts(d.fd, c.name); err != nil {
			return d.fail(c.name, err)
		}
	}
	differs, err := w.differ(entry{d.fd, c.name, st}, *c.old)
	if err != nil {
		return d.fail(c.name, err)
	}
	listed := len(w.pending)
	if differs {
		err = w.emit(c)
	} else if isDir(&st) {
		w.pending = append(w.pending, c)
	}
	if err != nil || !isDir(&st) {
		return err
	}
	lower, err := d.lower.open(c.name, w.marks)
	if err != nil {
		return d.fail(c.name, err)
	}
	defer lower.close()
	err = w.descend(d, c.name, lower)
	if len(w.pending) > listed { // nothing in it was
		w.pending = w.pending[:listed]
	}
	return err
}

// descend goes into the directory name of d, if it still is one.
func (w *walk) descend(d *dir, name string, lower view) error {
	fd, err := linux.OpenAt(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	switch err {
	case nil:
	case unix.ENOTDIR, unix.ELOOP, unix.ENOENT:
		return nil
	default:
		return d.fail(name, err)
	}
	defer unix.Close(fd)
	opaque, err := w.marks.readDirMarks(fd)
	if err != nil {
		return d.fail(name, err)
	}
	return w.dir(&dir{path: d.join(name), fd: fd, lower: lower, opaque: d.opaque || opaque})
}

// emit lists c, and before it the directories it is in.
func (w *walk) emit(c Change) error {
	for _, parent := range w.pending {
		if !w.yield(parent, nil) {
			return errStop
		}
	}
	w.pending = w.pending[:0]
	if !w.yield(c, nil) {
		return errStop
	}
	return nil
}
