// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// hide notes a whiteout. It takes effect when all entries are known, because it
// must not hide what the same layer has, before or after it.
func (a *applier) hide(name string) error {
	if _, _, err := a.parent(name); err != nil {
		return err
	}
	a.whiteouts[name] = struct{}{}
	return a.note(name)
}

// leaveOut makes nothing of a device, or of another name of one, but hides what
// it would replace.
func (a *applier) leaveOut(at spot) error {
	if err := a.remove(at); err != nil && err != unix.ENOENT {
		return fmt.Errorf("replace what is there: %w", err)
	}
	a.leftOut[at.path] = struct{}{}
	if a.opts.LeftOut != nil {
		a.opts.LeftOut(at.path)
	}
	return a.hide(at.path)
}

func (a *applier) hideAll(dir string) error {
	if _, err := a.dir.make(dir, a.imply); err != nil {
		return err
	}
	a.opaques[dir] = struct{}{}
	return a.note(dir)
}

// finish writes the marks and then gives directories their modes and times,
// which entries made within would have changed.
func (a *applier) finish() error {
	if err := a.giveLinks(); err != nil {
		return err
	}
	if err := a.writeMarks(); err != nil {
		return err
	}
	// Children before parents: an unprivileged caller may have no way through a
	// directory once it has its mode.
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(a.dirs))) {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		if err := a.finishDirectory(name); err != nil {
			return fmt.Errorf("set mode and times of directory %s: %w", show(name), err)
		}
	}
	return nil
}

func (a *applier) writeMarks() error {
	for _, dir := range slices.Sorted(maps.Keys(a.opaques)) {
		if err := a.markOpaque(dir); err != nil {
			return fmt.Errorf("mark directory %s opaque: %w", show(dir), err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.whiteouts)) {
		if err := a.markHidden(name); err != nil {
			return fmt.Errorf("whiteout of %s: %w", show(name), err)
		}
	}
	return nil
}

func (a *applier) markOpaque(name string) error {
	dir, base, err := a.parent(name)
	if err != nil {
		return overtaken(err)
	}
	st, err := linux.Lstat(dir, base)
	if err == unix.ENOENT || err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil // another entry has replaced it, which hides as much
	} else if err != nil {
		return err
	}
	return a.opts.SetOpaque(dir, base)
}

// markHidden makes a whiteout, or an opaque directory of one that this layer
// has: without it the children in lower layers would show again.
func (a *applier) markHidden(name string) error {
	dir, base, err := a.parent(name)
	if err != nil {
		return overtaken(err)
	}
	st, err := linux.Lstat(dir, base)
	switch {
	case err == unix.ENOENT:
		return a.makeWhiteout(dir, base)
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return a.opts.SetOpaque(dir, base)
	}
	return nil
}

// makeWhiteout also says that its directory may hold whiteouts, for where no
// lower layer has it.
func (a *applier) makeWhiteout(dir int, base string) error {
	if err := a.opts.MakeWhiteout(dir, base); err != nil {
		return err
	}
	return a.opts.SetMayHoldWhiteouts(dir, ".")
}

// overtaken forgives a mark whose directory another entry has replaced.
func overtaken(err error) error {
	var parent *parentError
	if errors.As(err, &parent) {
		return nil
	}
	return err
}

func (a *applier) finishDirectory(name string) error {
	attrs := a.dirs[name]
	if attrs.implied && a.opts.Implied != nil {
		a.opts.Implied(name)
	}
	fd, err := linux.OpenBeneath(a.root, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if attrs.acl != nil {
		if err := linux.Fsetxattr(fd, aclDefault, attrs.acl); err != nil {
			return fmt.Errorf("set attribute %s: %w", aclDefault, err)
		}
	}
	ts := []unix.Timespec{timespec(attrs.mtime), timespec(attrs.mtime)}
	if err := unix.UtimesNanoAt(fd, ".", ts, 0); err != nil {
		return err
	}
	return linux.Retry(func() error { return unix.Fchmod(fd, attrs.mode) })
}

// timespec is t; the kernel brings what a filesystem cannot hold into its range.
func timespec(t time.Time) unix.Timespec {
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}
