// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// directory finds directories beneath a root and keeps the last one open, since
// an archive's entries mostly come one directory after the other.
type directory struct {
	root int    // not ours to close
	path string // of fd
	fd   int    // O_PATH; -1 before the first
}

func newDirectory(root int) *directory { return &directory{root: root, fd: -1} }

// open returns a descriptor of the directory at the clean path, which belongs to
// d and holds until the next call. A symbolic link anywhere in it is an error.
func (d *directory) open(name string) (int, error) {
	if name == "." {
		return d.root, nil
	}
	if d.fd >= 0 && d.path == name {
		return d.fd, nil
	}
	fd, err := linux.OpenBeneath(d.root, name, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, err
	}
	d.keep(name, fd)
	return fd, nil
}

func (d *directory) keep(name string, fd int) {
	d.close()
	d.path, d.fd = name, fd
}

func (d *directory) close() {
	if d.fd >= 0 {
		unix.Close(d.fd)
		d.fd = -1
	}
}

// forget closes the kept directory when it is at or beneath name, which is about
// to be removed.
func (d *directory) forget(name string) {
	if d.path == name || strings.HasPrefix(d.path, name+"/") {
		d.close()
	}
}

// make is open that creates what is missing, calling made for each path.
func (d *directory) make(name string, made func(string) error) (int, error) {
	fd, err := d.open(name)
	if err == nil {
		return fd, nil
	}
	fd, err = d.descend(name, made)
	if err == nil {
		d.keep(name, fd)
	}
	return fd, err
}

// descend goes component by component, which is linear where a hostile archive
// names a directory two thousand levels deep, and can say which one is wrong.
func (d *directory) descend(name string, made func(string) error) (int, error) {
	dir := d.root
	for end := 0; end < len(name); end++ {
		start := end
		if i := strings.IndexByte(name[start:], '/'); i >= 0 {
			end = start + i
		} else {
			end = len(name)
		}
		next, err := d.step(dir, name[start:end], name[:end], made)
		if dir != d.root {
			unix.Close(dir)
		}
		if err != nil {
			return -1, err
		}
		dir = next
	}
	return dir, nil
}

func (d *directory) step(dir int, base, name string, made func(string) error) (int, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW
	fd, err := linux.OpenAt(dir, base, flags, 0)
	switch err {
	case unix.ENOENT:
		if err := made(name); err != nil {
			return -1, err
		}
		if err := unix.Mkdirat(dir, base, 0o700); err != nil {
			return -1, fmt.Errorf("mkdir %s: %w", show(name), err)
		}
		return linux.OpenAt(dir, base, flags, 0)
	case unix.ENOTDIR, unix.ELOOP:
		return -1, newParentError(dir, base, name)
	}
	return fd, err
}

// parentError says that an entry stands beneath something that is no directory.
type parentError struct {
	path string
	kind uint32 // S_IFMT
}

func newParentError(dir int, base, name string) error {
	st, err := linux.Lstat(dir, base)
	if err != nil {
		return err
	}
	return &parentError{path: name, kind: st.Mode & unix.S_IFMT}
}

func (e *parentError) Error() string {
	return fmt.Sprintf("parent %s is %s", show(e.path), kindName(e.kind))
}

func kindName(format uint32) string {
	switch format {
	case unix.S_IFREG:
		return "a file"
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a symbolic link"
	}
	return "a device, pipe or socket"
}

// split is path.Split for clean paths: the directory of "a" is ".".
func split(name string) (dir, base string) { return path.Dir(name), path.Base(name) }
