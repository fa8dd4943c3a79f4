// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io"
	"path"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// linked is what a hard link of the layer means: an entry of the merged layers
// beneath.
type linked struct {
	path   string // of the link
	target string
	st     unix.Stat_t
}

// lookLink finds what the merged layers beneath show at the link's target. Links
// on the way there are followed as a program in the container would follow them,
// which is how docker resolves a target, in a chroot; the last one is not.
func (c *completer) lookLink(l Link) error {
	f := linked{path: l.Path, target: l.Target}
	err := c.at(l.Target, func(dir int, base string) (err error) {
		f.st, err = linux.Lstat(dir, base)
		return err
	})
	switch {
	case err == unix.ENOENT, err == unix.ENOTDIR:
		err = errors.New("neither this layer nor those beneath have such a file")
	case err == nil && f.st.Mode&unix.S_IFMT == unix.S_IFDIR:
		err = errors.New("it is a directory")
	}
	if err != nil {
		return &UnmetError{l, err}
	}
	c.files = append(c.files, f)
	return nil
}

// at calls f with the directory of the entry p in the layers beneath.
func (c *completer) at(p string, f func(dir int, base string) error) error {
	dir, err := linux.OpenInRoot(c.beneath, path.Dir(p), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return f(dir, path.Base(p))
}

// copyFiles makes the copies. Links to one file are names of one copy; its own
// name, which is in a lower layer, is not.
func (c *completer) copyFiles(root int) error {
	copies := make(map[inode]string)
	for _, f := range c.files {
		id := inode{f.st.Dev, f.st.Ino}
		var err error
		if first, ok := copies[id]; ok {
			err = linkBeneath(root, first, f.path)
		} else {
			copies[id] = f.path
			err = c.copyFile(root, f)
		}
		if err != nil {
			return fmt.Errorf("copy %s to %s: %w", show(f.target), show(f.path), err)
		}
	}
	return nil
}

// linkBeneath gives the file at first one more name.
func linkBeneath(root int, first, name string) error {
	from, err := linux.OpenBeneath(root, path.Dir(first), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := linux.OpenBeneath(root, path.Dir(name), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	return unix.Linkat(from, path.Base(first), to, path.Base(name), 0)
}

func (c *completer) copyFile(root int, f linked) error {
	to, err := linux.OpenBeneath(root, path.Dir(f.path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	name := path.Base(f.path)
	return c.at(f.target, func(from int, base string) error {
		if err := copyContent(from, base, to, name, f.st); err != nil {
			return err
		}
		xattrs, err := c.readXattrs(from, base)
		if err != nil {
			return err
		}
		return setEntry(to, name, attributes{f.st, xattrs})
	})
}

// copyContent makes an entry of the same kind and content.
func copyContent(from int, base string, to int, name string, st unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return copyRegular(from, base, to, name)
	case unix.S_IFLNK:
		target, err := linux.Readlink(from, base)
		if err != nil {
			return err
		}
		return unix.Symlinkat(target, to, name)
	}
	return unix.Mknodat(to, name, st.Mode&unix.S_IFMT|0o600, int(st.Rdev))
}

func copyRegular(from int, base string, to int, name string) (err error) {
	src, err := linux.OpenAt(from, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(src)
	dst, err := linux.OpenAt(to, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(dst)) }()
	st, err := linux.Fstat(src)
	if err != nil {
		return err
	}
	return copyData(src, dst, st.Size)
}

// copyData copies what is no hole of a file of size bytes (lseek(2), "Seeking file
// data and holes").
func copyData(src, dst int, size int64) error {
	buf := make([]byte, 256<<10)
	for at := int64(0); at < size; {
		start, err := unix.Seek(src, at, unix.SEEK_DATA)
		if err == unix.ENXIO { // nothing but a hole to the end
			break
		} else if err != nil {
			return err
		}
		end, err := unix.Seek(src, start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		for _, fd := range []int{src, dst} {
			if _, err := unix.Seek(fd, start, io.SeekStart); err != nil {
				return err
			}
		}
		n, err := io.CopyBuffer(linux.FD(dst), io.LimitReader(linux.FD(src), end-start), buf)
		if err == nil && n < end-start {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		at = end
	}
	return unix.Ftruncate(dst, size)
}

// setEntry gives an entry that is no directory its attributes: the owner first,
// as in attributes.set.
func setEntry(dir int, name string, a attributes) error {
	if err := unix.Fchownat(dir, name, int(a.st.Uid), int(a.st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	for attr, value := range a.xattrs {
		if err := linux.Lsetxattr(dir, name, attr, value); err != nil {
			return err
		}
	}
	if a.st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := linux.Chmod(dir, name, a.st.Mode&0o7777); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(dir, name, []unix.Timespec{a.st.Mtim, a.st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}
