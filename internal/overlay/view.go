// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// view is one directory as the lowers show it together: the directories of that
// path, newest first, down to the first that hides what is older. Without any
// the path is not there, or is no directory.
type view []int

// entry is a name that somebody has, with what lstat says of it.
type entry struct {
	dir  int
	name string
	st   unix.Stat_t
}

// rootView is the view of the root directory. The kernel merges the roots of
// all lowers whatever their marks say; visible makes the mark of a layer that
// hides everything count, here and in Mount.
func rootView(lowers []*os.File, m Marks) (view, error) {
	lowers, err := visible(lowers, m)
	var v view
	for _, f := range slices.Backward(lowers) {
		v = append(v, int(f.Fd()))
	}
	return v, err
}

// visible leaves out the lowers, oldest first, that are beneath a layer whose
// root is opaque.
func visible(lowers []*os.File, m Marks) ([]*os.File, error) {
	for i, lower := range slices.Backward(lowers) {
		opaque, err := m.Opaque(int(lower.Fd()), ".")
		if err != nil {
			return nil, &os.PathError{Op: "read opaque mark", Path: lower.Name() + "/.", Err: err}
		}
		if opaque {
			return lowers[i:], nil
		}
	}
	return lowers, nil
}

// find is the entry that the view shows under name, nil when there is none.
func (v view) find(name string) (*entry, error) {
	for _, dir := range v {
		st, err := linux.Lstat(dir, name)
		switch {
		case err == unix.ENOENT:
			continue
		case err != nil:
			return nil, err
		case IsWhiteout(&st):
			return nil, nil
		}
		return &entry{dir, name, st}, nil
	}
	return nil, nil
}

// open is the view of the directory name. The caller closes it.
func (v view) open(name string, m Marks) (sub view, err error) {
	for _, dir := range v {
		fd, err := linux.OpenAt(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		switch err {
		case nil:
			sub = append(sub, fd)
		case unix.ENOENT:
			continue
		case unix.ENOTDIR, unix.ELOOP: // a whiteout, a file or a link hides what is older
			return sub, nil
		default:
			sub.close()
			return nil, err
		}
		if opaque, err := m.fget(fd, "opaque"); err != nil {
			sub.close()
			return nil, err
		} else if opaque == opaqueYes {
			break
		}
	}
	return sub, nil
}

func (v view) close() {
	for _, fd := range v {
		unix.Close(fd)
	}
}

// names is the set of what the view shows.
func (v view) names() (map[string]bool, error) {
	shown := map[string]bool{} // false: hidden by a whiteout
	for _, dir := range v {
		entries, err := linux.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if _, newer := shown[e.Name]; newer {
				continue
			}
			hidden, err := isWhiteoutAt(dir, e)
			if err != nil {
				return nil, err
			}
			shown[e.Name] = !hidden
		}
	}
	return shown, nil
}

// fewerThan estimates whether to read the view's directories is less work than
// to ask each for n names. A directory's size is about that of its names.
func (v view) fewerThan(n int) (bool, error) {
	const few, bytesPerName = 64, 64
	if n < few || len(v) == 0 {
		return false, nil
	}
	var size int64
	for _, dir := range v {
		st, err := linux.Fstat(dir)
		if err != nil {
			return false, err
		}
		size += st.Size
	}
	return size/bytesPerName < int64(n*len(v)), nil
}

// isWhiteoutAt looks at the entry only where its type leaves a doubt.
func isWhiteoutAt(dir int, e linux.Dirent) (bool, error) {
	if e.Type != unix.DT_CHR && e.Type != unix.DT_UNKNOWN {
		return false, nil
	}
	st, err := linux.Lstat(dir, e.Name)
	if err == unix.ENOENT { // gone since the directory was read
		return false, nil
	}
	return err == nil && IsWhiteout(&st), err
}
