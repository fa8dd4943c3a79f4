// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// A Listed is an entry as ls shows it.
type Listed struct {
	Path   string // from the root
	Name   string // in its directory
	Stat   unix.Stat_t
	Target string // of a symbolic link
}

// ListOptions say what List lists.
type ListOptions struct {
	Recursive bool
	All       bool // those whose names begin with a dot too
	NoStat    bool // names are enough
}

// List calls dir for each directory that is listed and then entry for each of
// its entries, in the order of their names. What is not a directory is listed as
// its only entry, without a call of dir.
func (n *Node) List(o ListOptions, dir func(path string) error, entry func(Listed) error) error {
	if !n.IsDir() {
		e := Listed{Path: n.Path, Name: n.Path, Stat: n.Stat}
		if n.Stat.Mode&unix.S_IFMT == unix.S_IFLNK {
			target, err := n.Target()
			if err != nil {
				return err
			}
			e.Target = target
		}
		return entry(e)
	}
	l := lister{look: n.look, start: int(n.file.Fd()), o: o, dir: dir, entry: entry}
	return l.list(n.Path, ".")
}

// lister lists the directories beneath one.
type lister struct {
	look  *Look
	start int
	o     ListOptions
	dir   func(string) error
	entry func(Listed) error
}

// list lists the directory that is called shown and at rel beneath the start.
// While it is in one beneath it holds no descriptor: paths may be thousands deep.
func (l *lister) list(shown, rel string) error {
	if err := l.dir(shown); err != nil {
		return err
	}
	dirs, err := l.entries(shown, rel)
	if err != nil || !l.o.Recursive {
		return err
	}
	for _, name := range dirs {
		if err := l.list(path.Join(shown, name), path.Join(rel, name)); err != nil {
			return err
		}
	}
	return nil
}

// entries lists one directory and returns the names of those in it.
func (l *lister) entries(shown, rel string) (dirs []string, err error) {
	fd, err := linux.OpenBeneath(l.start, rel, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, l.look.fail(shown, err)
	}
	defer unix.Close(fd)
	if l.look.inStore(fd) {
		return nil, nil
	}
	entries, err := linux.ReadDir(fd)
	if err != nil {
		return nil, l.look.fail(shown, err)
	}
	for _, e := range entries {
		if !l.o.All && strings.HasPrefix(e.Name, ".") {
			continue
		}
		listed, err := l.describe(fd, shown, e)
		if errors.Is(err, os.ErrNotExist) { // a running container
			continue
		}
		if err == nil {
			err = l.entry(listed)
		}
		if err != nil {
			return nil, err
		}
		if listed.Stat.Mode&unix.S_IFMT == unix.S_IFDIR {
			dirs = append(dirs, e.Name)
		}
	}
	return dirs, nil
}

func (l *lister) describe(fd int, shown string, e linux.Dirent) (listed Listed, err error) {
	listed = Listed{Path: path.Join(shown, e.Name), Name: e.Name}
	if l.o.NoStat && e.Type != unix.DT_UNKNOWN {
		listed.Stat.Mode = uint32(e.Type) << 12 // DTTOIF of dirent.h
		return listed, nil
	}
	if listed.Stat, err = linux.Lstat(fd, e.Name); err != nil {
		return listed, l.look.fail(listed.Path, err)
	}
	if listed.Stat.Mode&unix.S_IFMT == unix.S_IFLNK && !l.o.NoStat {
		if listed.Target, err = readLink(fd, e.Name); err != nil {
			return listed, l.look.fail(listed.Path, err)
		}
	}
	return listed, nil
}
