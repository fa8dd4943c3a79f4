// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// Batch is a list of changes to one filesystem that are put on disk together, by
// one syncfs for what they need and one flush of the journal for their names, in
// place of two or three flushes for each. Its steps are made in the order in
// which they were added, and nothing of it has a name before Commit.
//
// Between the two flushes a power failure leaves the steps up to some point and
// none after it, as a kill does: ext4 and xfs write the changes of directories in
// the order in which they were made. For filesystems that write each directory
// when it is synced, the directories are synced in the order of the steps.
type Batch struct {
	fs      *os.File
	steps   []step
	relaxed int // index of the first step that is not put on disk; -1 if all are
	asides  []aside
}

// step is one change and the directories in which it changes names.
type step struct {
	do   func() error
	dirs []*os.File
}

// aside is a file that has its content and not yet its name.
type aside struct {
	dir  *os.File
	name string // "" when it is renamed
}

// NewBatch makes an empty batch for the filesystem that holds fs, a file or
// directory that stays the caller's, open until Commit. The caller closes the
// batch.
func NewBatch(fs *os.File) *Batch { return &Batch{fs: fs, relaxed: -1} }

// WriteFile writes data aside, and adds the step that makes it the file name in
// dir, in place of what had the name before. The umask applies to mode. The batch
// has its own descriptor of dir.
func (b *Batch) WriteFile(dir *os.File, name string, data []byte, mode os.FileMode) error {
	own, err := reopen(dir)
	if err != nil {
		return err
	}
	i := len(b.asides)
	b.asides = append(b.asides, aside{own, temporary + RandomName()})
	if err := writeNew(own, b.asides[i].name, data, mode, false); err != nil {
		return err
	}
	b.Do(func() error { return b.asides[i].rename(name) }, own)
	return nil
}

// Do adds a step that is a change of another kind, and the directories whose
// entries it changes, which stay open until Commit.
func (b *Batch) Do(change func() error, dirs ...*os.File) {
	b.steps = append(b.steps, step{change, dirs})
}

// Relax makes the steps that are added from here on follow when those before are
// on disk. They are not put there themselves: a power failure may undo them, but
// the files they rename are whole.
func (b *Batch) Relax() { b.relaxed = len(b.steps) }

// Commit makes the changes. When it returns nil they are on disk, up to Relax,
// and so is everything that was written to the filesystem before. After a step
// that fails none follows, and those before it are put on disk all the same.
func (b *Batch) Commit() error {
	if len(b.steps) == 0 {
		return nil
	}
	if err := SyncFS(b.fs); err != nil {
		return err
	}
	first, rest := b.steps, []step(nil)
	if b.relaxed >= 0 {
		first, rest = b.steps[:b.relaxed], b.steps[b.relaxed:]
	}
	done, err := run(first)
	if err := errors.Join(err, syncParents(first[:done])); err != nil {
		return err
	}
	_, err = run(rest)
	return err
}

// run returns how many steps were begun.
func run(steps []step) (int, error) {
	for i, s := range steps {
		if err := s.do(); err != nil {
			return i + 1, err
		}
	}
	return len(steps), nil
}

// syncParents syncs each directory of the steps once.
func syncParents(steps []step) error {
	type inode struct{ dev, ino uint64 }
	seen := make(map[inode]bool)
	for _, s := range steps {
		for _, dir := range s.dirs {
			st, err := linux.Fstat(int(dir.Fd()))
			if err != nil {
				return wrap("stat", dir.Name(), err)
			}
			key := inode{st.Dev, st.Ino}
			if seen[key] {
				continue
			}
			seen[key] = true
			if err := Sync(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close removes what was written aside and has no name, and closes the
// descriptors. It does not undo a step.
func (b *Batch) Close() error {
	var errs []error
	for _, a := range b.asides {
		if a.name != "" {
			errs = append(errs, ignoreMissing(unix.Unlinkat(int(a.dir.Fd()), a.name, 0)))
		}
		errs = append(errs, a.dir.Close())
	}
	b.asides, b.steps = nil, nil
	return errors.Join(errs...)
}

func (a *aside) rename(name string) error {
	fd := int(a.dir.Fd())
	if err := unix.Renameat(fd, a.name, fd, name); err != nil {
		return linkError("rename", a.dir, a.name, a.dir, name, err)
	}
	a.name = ""
	return nil
}

// reopen returns another descriptor of the same open directory.
func reopen(dir *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(dir.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, wrap("duplicate", dir.Name(), err)
	}
	return os.NewFile(uintptr(fd), dir.Name()), nil
}
