// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// Normalise makes the upperdir of a stopped container say no more than it has
// to, before it becomes a layer: what was copied up and is the same again goes,
// so do whiteouts of what no lower has, and opaque marks become a whiteout for
// each name they hide (image-spec, layer.md, "Opaque Whiteout", asks writers for
// those). It returns how many steps that took.
//
// Every step leaves the merged view, and so Changes, as it was, so it may be
// interrupted anywhere and repeated; only a directory's modification time is put
// back after the steps in it. Nothing may have the upperdir mounted.
//
// A name that begins with ".wh." is an error: an archive could not hold it.
func Normalise(upper *os.File, lowers []*os.File, m Marks) (int, error) {
	n := normaliser{walk: walk{marks: m}, after: func(int) error { return nil }}
	return n.run(upper, lowers)
}

type normaliser struct {
	walk
	steps int
	after func(steps int) error // a test interrupts with it
}

func (n *normaliser) run(upper *os.File, lowers []*os.File) (int, error) {
	lower, err := rootView(lowers, n.marks)
	if err == nil {
		_, err = n.dir(&dir{fd: int(upper.Fd()), lower: lower})
	}
	return n.steps, err
}

// step does one thing to the upperdir.
func (n *normaliser) step(d *dir, name string, f func() error) error {
	if err := linux.Retry(f); err != nil {
		return normaliseError(d, name, err)
	}
	n.steps++
	return n.after(n.steps)
}

func normaliseError(d *dir, name string, err error) error {
	return fmt.Errorf("normalise %s: %w", d.join(name), err)
}

// dir works through a directory of the upperdir and returns how many entries
// it has left.
func (n *normaliser) dir(d *dir) (left int, err error) {
	before, err := linux.Fstat(d.fd)
	if err != nil {
		return 0, normaliseError(d, "", err)
	}
	steps := n.steps
	left, err = n.entries(d)
	if n.steps == steps {
		return left, err
	}
	times := []unix.Timespec{before.Atim, before.Mtim}
	if timesErr := unix.UtimesNanoAt(d.fd, ".", times, 0); err == nil && timesErr != nil {
		err = normaliseError(d, "", timesErr)
	}
	return left, err
}

func (n *normaliser) entries(d *dir) (left int, err error) {
	if d.opaque {
		if err := n.reveal(d); err != nil {
			return 0, err
		}
	}
	entries, err := linux.ReadDir(d.fd)
	if err != nil {
		return 0, normaliseError(d, "", err)
	}
	left = len(entries)
	for _, e := range entries {
		gone, err := n.entry(d, e)
		if err != nil {
			return 0, err
		}
		if gone {
			left--
		}
	}
	return left, nil
}

// reveal makes d a directory that is merged with the lowers' and shows the same.
// The mark goes last: until then it hides what is being prepared.
func (n *normaliser) reveal(d *dir) error {
	names, err := d.lower.names()
	if err != nil {
		return normaliseError(d, "", err)
	}
	err = n.step(d, "", func() error { return n.marks.SetMayHoldWhiteouts(d.fd, ".") })
	if err != nil {
		return err
	}
	for name, shown := range names {
		if !shown {
			continue
		}
		if err := n.hide(d, name); err != nil {
			return err
		}
	}
	return n.step(d, "", func() error { return linux.Lremovexattr(d.fd, ".", n.marks.attr("opaque")) })
}

// hide keeps what the lowers have under name, or beneath it, from being seen.
func (n *normaliser) hide(d *dir, name string) error {
	st, err := linux.Lstat(d.fd, name)
	switch {
	case err == unix.ENOENT:
		return n.step(d, name, func() error { return n.marks.MakeWhiteout(d.fd, name) })
	case err != nil:
		return normaliseError(d, name, err)
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return n.step(d, name, func() error { return n.marks.SetOpaque(d.fd, name) })
	}
	return nil
}

var errDotWh = errors.New("a name that begins with .wh. cannot be in a layer: it would mean a whiteout (image-spec, layer.md)")

// entry reports whether the entry is gone now.
func (n *normaliser) entry(d *dir, e linux.Dirent) (gone bool, err error) {
	if strings.HasPrefix(e.Name, ".wh.") {
		return false, normaliseError(d, e.Name, errDotWh)
	}
	old, err := d.lower.find(e.Name)
	if err != nil {
		return false, normaliseError(d, e.Name, err)
	}
	if old == nil && e.Type != unix.DT_DIR && e.Type != unix.DT_CHR && e.Type != unix.DT_UNKNOWN {
		return false, nil // new, and nothing that could be a mark
	}
	st, err := linux.Lstat(d.fd, e.Name)
	if err != nil {
		return false, normaliseError(d, e.Name, err)
	}
	now := entry{d.fd, e.Name, st}
	switch {
	case IsWhiteout(&st):
		return n.remove(d, e.Name, 0, old == nil)
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return n.subdir(d, now, old)
	case old == nil:
		return false, nil
	}
	return n.file(d, now, *old)
}

func (n *normaliser) remove(d *dir, name string, flags int, needless bool) (bool, error) {
	if !needless {
		return false, nil
	}
	return true, n.step(d, name, func() error { return unix.Unlinkat(d.fd, name, flags) })
}

// file removes what is the same beneath. Hard links stay on either side: which
// names are one file can be seen in the merged view.
func (n *normaliser) file(d *dir, now, old entry) (gone bool, err error) {
	if now.st.Mode&unix.S_IFMT == unix.S_IFREG {
		if err := n.marks.refuseParts(now.dir, now.name); err != nil {
			return false, normaliseError(d, now.name, err)
		}
	}
	if now.st.Nlink > 1 || old.st.Nlink > 1 && !isDir(&old.st) {
		return false, nil
	}
	differs, err := n.differ(now, old)
	if err != nil {
		return false, normaliseError(d, now.name, err)
	}
	return n.remove(d, now.name, 0, !differs)
}

func isDir(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

func (n *normaliser) subdir(d *dir, now entry, old *entry) (gone bool, err error) {
	left, err := n.descend(d, now.name)
	if err != nil || old == nil || left > 0 {
		return false, err
	}
	differs, err := n.differ(now, *old)
	if err != nil {
		return false, normaliseError(d, now.name, err)
	}
	return n.remove(d, now.name, unix.AT_REMOVEDIR, !differs)
}

func (n *normaliser) descend(d *dir, name string) (left int, err error) {
	fd, err := linux.OpenAt(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return 0, normaliseError(d, name, err)
	}
	defer unix.Close(fd)
	opaque, err := n.marks.readDirMarks(fd)
	if err != nil {
		return 0, normaliseError(d, name, err)
	}
	lower, err := d.lower.open(name, n.marks)
	if err != nil {
		return 0, normaliseError(d, name, err)
	}
	defer lower.close()
	return n.dir(&dir{path: d.join(name), fd: fd, lower: lower, opaque: opaque})
}
