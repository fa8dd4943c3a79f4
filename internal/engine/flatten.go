// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/overlay"
)

// flattener makes one tree in overlay form of the newer layers of a stack.
type flattener struct {
	marks overlay.Marks
	stack *imageStack
	from  int // the oldest tree of the stack that is flattened
	tree  int // the result's root

	// open are the directories of the result on the way to the current path, whose
	// times are set when nothing more is made in them.
	open []flatDir
}

type flatDir struct {
	path string // "" for the root
	fd   int
	st   unix.Stat_t
}

// run fills the tree.
func (f *flattener) run(ctx context.Context) error {
	err := f.root()
	if err == nil {
		err = f.entries(ctx)
	}
	for len(f.open) > 0 {
		err = errors.Join(err, f.leave())
	}
	return err
}

// root gives the root what the stack shows of it: the kernel takes the newest
// tree's.
func (f *flattener) root() error {
	fd, err := linux.OpenAt(f.tree, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	newest := f.stack.traced[len(f.stack.traced)-1]
	return f.enter("", fd, int(newest.Dir.Fd()), ".")
}

func (f *flattener) entries(ctx context.Context) error {
	layers := f.stack.traced
	for trail, err := range overlay.Trails(layers, overlay.TrailOptions{Marks: f.marks, From: f.from}) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = f.add(trail)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add makes what the flattened layers show at a path in the end, or a whiteout
// where they hide what the older ones show.
func (f *flattener) add(t *overlay.Trail) error {
	for !within(f.open[len(f.open)-1].path, t.Path) {
		if err := f.leave(); err != nil {
			return err
		}
	}
	last := len(t.Steps) - 1
	if t.Steps[last].Gone || t.Steps[last].Type == unix.DT_SOCK { // no archive holds a socket
		if !t.ShownAt(f.from) {
			return nil
		}
		return f.fail(t, f.marks.MakeWhiteout(f.top(), path.Base(t.Path)))
	}
	dir, name, err := t.In(last)
	if err != nil {
		return err
	}
	if t.Steps[last].Type == unix.DT_DIR {
		return f.directory(t, dir, name)
	}
	return f.fail(t, unix.Linkat(dir, name, f.top(), name, 0))
}

// within tells whether p is beneath dir.
func within(dir, p string) bool { return strings.HasPrefix(p, dir+"/") }

func (f *flattener) top() int { return f.open[len(f.open)-1].fd }

func (f *flattener) fail(t *overlay.Trail, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: "flatten", Path: t.Path, Err: err}
}

// directory makes a directory like the name of dir, which is the one that the
// stack shows. Where older layers have something else it hides that by being
// there; where they have one that was deleted in between, whiteouts hide what it
// held, one for each name.
func (f *flattener) directory(t *overlay.Trail, dir int, name string) error {
	if err := unix.Mkdirat(f.top(), name, 0o700); err != nil {
		return f.fail(t, err)
	}
	fd, err := linux.OpenAt(f.top(), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return f.fail(t, err)
	}
	return f.fail(t, f.enter(t.Path, fd, dir, name))
}

// enter makes fd the current directory, which takes it over, and gives it owner,
// attributes and mode of the directory name of dir: the owner first, because a
// change of owner takes away others.
func (f *flattener) enter(p string, fd, dir int, name string) error {
	st, err := linux.Lstat(dir, name)
	f.open = append(f.open, flatDir{p, fd, st})
	if err != nil {
		return err
	}
	if err := unix.Fchown(fd, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	names, err := linux.Llistxattr(dir, name)
	if err != nil {
		return err
	}
	for _, attr := range names {
		if f.marks.IsMark(attr) {
			continue
		}
		value, err := linux.Lgetxattr(dir, name, attr)
		if err == nil {
			err = linux.Fsetxattr(fd, attr, value)
		}
		if err != nil {
			return err
		}
	}
	return unix.Fchmod(fd, st.Mode&0o7777)
}

// leave ends the current directory.
func (f *flattener) leave() error {
	d := f.open[len(f.open)-1]
	f.open = f.open[:len(f.open)-1]
	err := unix.UtimesNanoAt(d.fd, ".", []unix.Timespec{d.st.Mtim, d.st.Mtim}, 0)
	return errors.Join(err, unix.Close(d.fd))
}
