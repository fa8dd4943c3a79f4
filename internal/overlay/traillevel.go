// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// occurrence is a name in the directory of one layer.
type occurrence struct {
	index int // in the level's layers
	kind  uint8
}

// merge goes through the sorted names of several directories at once.
type merge struct {
	lists [][]linux.Dirent
	found []occurrence
}

// next returns the next name and where it occurs, oldest layer first; nil at the
// end. The result is good until the next call.
func (m *merge) next() (name string, found []occurrence) {
	m.found = m.found[:0]
	for i, list := range m.lists {
		if len(list) == 0 || len(m.found) > 0 && list[0].Name > name {
			continue
		}
		if len(m.found) > 0 && list[0].Name < name {
			m.found = m.found[:0]
		}
		name = list[0].Name
		m.found = append(m.found, occurrence{i, list[0].Type})
	}
	if len(m.found) == 0 {
		return "", nil
	}
	for _, o := range m.found {
		m.lists[o.index] = m.lists[o.index][1:]
	}
	return name, m.found
}

// read reads a directory in all layers, or looks for the one name that is wanted
// of it.
func (w *trailWalk) read(l *level) (*merge, error) {
	m := &merge{lists: make([][]linux.Dirent, len(l.at))}
	for i := range l.at {
		var err error
		if l.depth < len(w.only) {
			m.lists[i], err = w.find(l, i, w.only[l.depth])
		} else {
			m.lists[i], err = w.names(l, i)
		}
		if err != nil {
			return nil, l.fail("", err)
		}
	}
	return m, nil
}

func (w *trailWalk) names(l *level, i int) ([]linux.Dirent, error) {
	fd, err := w.fd(l, i)
	if err != nil {
		return nil, err
	}
	return linux.ReadDir(fd)
}

func (w *trailWalk) find(l *level, i int, name string) ([]linux.Dirent, error) {
	st, err := w.lstat(l, i, name)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENAMETOOLONG) {
		return nil, nil
	}
	return []linux.Dirent{{Name: name, Type: uint8(st.Mode & unix.S_IFMT >> 12)}}, err
}

// findOpaque notes which layers of a directory hide all that is older. Of the
// oldest it does not matter.
func (w *trailWalk) findOpaque(l *level) error {
	for i, layer := range l.at {
		if i == 0 {
			continue
		}
		if _, known := slices.BinarySearch(l.hides, layer); known {
			continue
		}
		fd, err := w.fd(l, i)
		if err != nil {
			return l.fail("", err)
		}
		opaque, err := w.o.readDirMarks(fd)
		if err != nil {
			return l.fail("", err)
		}
		if opaque {
			at, _ := slices.BinarySearch(l.hides, layer)
			l.hides = slices.Insert(l.hides, at, layer)
		}
	}
	return nil
}

func (w *trailWalk) lstat(l *level, i int, name string) (unix.Stat_t, error) {
	fd, err := w.fd(l, i)
	if err != nil {
		return unix.Stat_t{}, err
	}
	return linux.Lstat(fd, name)
}

// fd is the directory of one layer, which is opened when it is asked for.
func (w *trailWalk) fd(l *level, i int) (int, error) {
	if l.fds[i] >= 0 {
		return l.fds[i], nil
	}
	path := "."
	if l.path != "" {
		path = l.path[1:]
	}
	fd, err := linux.OpenBeneath(int(w.layers[l.at[i]].Dir.Fd()), path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, err
	}
	l.fds[i] = fd
	w.open++
	return fd, nil
}

// manyOpen is from how many descriptors on those of a directory are closed while
// the walk is beneath it: layers may be hundreds and a path thousands deep.
const manyOpen = 256

// spare closes a directory that is asked for again only later, if ever.
func (w *trailWalk) spare(l *level) {
	if w.open > manyOpen {
		w.close(l)
	}
}

func (w *trailWalk) close(l *level) {
	for i, fd := range l.fds {
		if fd >= 0 {
			unix.Close(fd)
			l.fds[i] = -1
			w.open--
		}
	}
}
