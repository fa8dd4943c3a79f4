// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// linked is the header of a hard link if the file has been sent under another
// name; otherwise it is nil, and this name is noted for those that follow.
func (w *walker) linked(name string, st *unix.Stat_t) *tar.Header {
	if st.Nlink < 2 {
		return nil
	}
	id := inode{st.Dev, st.Ino}
	first, known := w.names[id]
	if !known {
		w.names[id] = name
		return nil
	}
	hdr := w.header(name, tar.TypeLink, st)
	hdr.Linkname = first
	return hdr
}

func (w *walker) header(name string, typeflag byte, st *unix.Stat_t) *tar.Header {
	mtime := time.Unix(st.Mtim.Sec, 0)
	if w.opts.Epoch != nil && mtime.After(*w.opts.Epoch) {
		mtime = time.Unix(w.opts.Epoch.Unix(), 0)
	}
	return &tar.Header{
		Typeflag: typeflag, Name: name, Mode: int64(st.Mode & 0o7777),
		Uid: int(st.Uid), Gid: int(st.Gid), ModTime: mtime,
	}
}

// openQuietly opens an entry for reading, without leaving a new access time
// behind where the kernel allows that: to the owner and to root.
func openQuietly(dir int, base string, flags int) (int, error) {
	flags |= unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK
	fd, err := linux.OpenAt(dir, base, flags|unix.O_NOATIME, 0)
	if err == unix.EPERM {
		fd, err = linux.OpenAt(dir, base, flags, 0)
	}
	return fd, err
}

// attributed is something with extended attributes.
type attributed interface {
	list() ([]string, error)
	get(attr string) ([]byte, error)
}

// openEntry is an open file or directory.
type openEntry int

func (fd openEntry) list() ([]string, error)         { return linux.Flistxattr(int(fd)) }
func (fd openEntry) get(attr string) ([]byte, error) { return linux.Fgetxattr(int(fd), attr) }

// namedEntry is one that cannot be opened without a side effect.
type namedEntry struct {
	dir  int
	name string
}

func (e namedEntry) list() ([]string, error)         { return linux.Llistxattr(e.dir, e.name) }
func (e namedEntry) get(attr string) ([]byte, error) { return linux.Lgetxattr(e.dir, e.name, attr) }

// addXattrs puts the attributes of an entry into its header, and returns the
// names of all that it has.
func addXattrs(hdr *tar.Header, e attributed) ([]string, error) {
	names, err := e.list()
	if err != nil {
		return nil, fmt.Errorf("list attributes: %w", err)
	}
	for _, name := range names {
		if isOverlays(name) {
			if err := checkMark(name); err != nil {
				return nil, err
			}
			continue
		}
		if isHosts(name) {
			continue
		}
		value, err := e.get(name)
		if err != nil {
			return nil, fmt.Errorf("get attribute %s: %w", show(name), err)
		}
		if hdr.PAXRecords == nil {
			hdr.PAXRecords = map[string]string{}
		}
		hdr.PAXRecords[xattrPrefix+encodeXattr.Replace(name)] = string(value)
	}
	return names, nil
}

// checkMark refuses the marks that say that an entry's content or children are
// somewhere else. The mounts made here have metacopy and redirect_dir off.
func checkMark(attr string) error {
	switch attr[strings.LastIndexByte(attr, '.')+1:] {
	case "metacopy", "redirect", "whiteout":
		return fmt.Errorf("overlay mark %s: the entry is not whole, and cannot be written as a layer", attr)
	}
	return nil
}
