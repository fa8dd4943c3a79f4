// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// file writes a regular file, or a hard link when another name of it has been
// written.
func (c *composer) file(dir int, name, base string) error {
	fd, err := openQuietly(dir, base, 0)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer unix.Close(fd)
	st, err := linux.Fstat(fd)
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errors.New("it changed while it was read")
	}
	if linked, err := c.linked(name, &st); linked {
		return err
	}
	hdr := c.header(name, tar.TypeReg, &st)
	hdr.Size = st.Size
	if err := c.fileXattrs(fd, hdr); err != nil {
		return err
	}
	if err := c.writeHeader(hdr); err != nil {
		return err
	}
	return c.content(fd, name, st.Size)
}

// content copies size bytes; fewer are an error, since the header has promised
// them.
func (c *composer) content(fd int, name string, size int64) error {
	c.info.ContentSize += size
	c.out.rec.addFile(name, size)
	c.out.content = true
	defer func() { c.out.content = false }()
	for left := size; left > 0; {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n, err := linux.FD(fd).Read(c.buffer(left))
		if err == io.EOF {
			return fmt.Errorf("it has %d bytes less than when it was opened: %w", left, io.ErrUnexpectedEOF)
		} else if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if _, err := c.tar.Write(c.buf[:n]); err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

// buffer is room for what is left, but no more than is worth it at a time.
func (c *composer) buffer(left int64) []byte {
	if c.buf == nil {
		c.buf = make([]byte, chunkSize)
	}
	return c.buf[:min(left, chunkSize)]
}

// node writes a symbolic link, a device or a pipe.
func (c *composer) node(dir int, name, base string, st *unix.Stat_t) error {
	if linked, err := c.linked(name, st); linked {
		return err
	}
	hdr := c.header(name, tar.TypeFifo, st)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		hdr.Typeflag = tar.TypeSymlink
		target, err := readlink(dir, base)
		if err != nil {
			return fmt.Errorf("readlink: %w", err)
		}
		hdr.Linkname = target
	case unix.S_IFCHR:
		hdr.Typeflag = tar.TypeChar
	case unix.S_IFBLK:
		hdr.Typeflag = tar.TypeBlock
	}
	if hdr.Typeflag == tar.TypeChar || hdr.Typeflag == tar.TypeBlock {
		hdr.Devmajor, hdr.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	}
	names, err := linux.Llistxattr(dir, base)
	if err != nil {
		return fmt.Errorf("list attributes: %w", err)
	}
	err = addXattrs(hdr, names, func(attr string) ([]byte, error) { return linux.Lgetxattr(dir, base, attr) })
	if err != nil {
		return err
	}
	return c.writeHeader(hdr)
}

func readlink(dir int, base string) (target string, err error) {
	buf := make([]byte, pathMax)
	err = linux.Retry(func() error {
		n, err := unix.Readlinkat(dir, base, buf)
		target = string(buf[:max(n, 0)])
		return err
	})
	return target, err
}

// linked writes a hard link if the file has been written under another name,
// and notes this name for the others if it has any.
func (c *composer) linked(name string, st *unix.Stat_t) (bool, error) {
	if st.Nlink < 2 {
		return false, nil
	}
	id := inode{st.Dev, st.Ino}
	first, known := c.names[id]
	if !known {
		c.names[id] = name
		return false, nil
	}
	hdr := c.header(name, tar.TypeLink, st)
	hdr.Linkname = first
	return true, c.writeHeader(hdr)
}

func (c *composer) header(name string, typeflag byte, st *unix.Stat_t) *tar.Header {
	mtime := time.Unix(st.Mtim.Sec, 0)
	if c.opts.Epoch != nil && mtime.After(*c.opts.Epoch) {
		mtime = time.Unix(c.opts.Epoch.Unix(), 0)
	}
	return &tar.Header{
		Typeflag: typeflag, Name: name, Mode: int64(st.Mode & 0o7777),
		Uid: int(st.Uid), Gid: int(st.Gid), ModTime: mtime,
	}
}

// directoryHeader writes the entry of the directory open at fd, and its opaque
// mark. The name ends in a slash.
func (c *composer) directoryHeader(fd int, name string, st *unix.Stat_t) error {
	hdr := c.header(name, tar.TypeDir, st)
	names, err := linux.Flistxattr(fd)
	if err != nil {
		return fmt.Errorf("list attributes: %w", err)
	}
	if err := addXattrs(hdr, names, fgetxattr(fd)); err != nil {
		return err
	}
	if err := c.writeHeader(hdr); err != nil || len(names) == 0 {
		return err
	}
	isOpaque, err := c.opts.Opaque(fd, ".")
	if err != nil || !isOpaque {
		return err
	}
	return c.mark(strings.TrimPrefix(name, "./") + opaqueName)
}

func (c *composer) fileXattrs(fd int, hdr *tar.Header) error {
	names, err := linux.Flistxattr(fd)
	if err != nil {
		return fmt.Errorf("list attributes: %w", err)
	}
	return addXattrs(hdr, names, fgetxattr(fd))
}

func fgetxattr(fd int) func(string) ([]byte, error) {
	return func(attr string) ([]byte, error) { return linux.Fgetxattr(fd, attr) }
}

// addXattrs puts the attributes of an entry into its header.
func addXattrs(hdr *tar.Header, names []string, get func(string) ([]byte, error)) error {
	for _, name := range names {
		if isHosts(name) {
			continue
		}
		if isOverlays(name) {
			if err := checkMark(name); err != nil {
				return err
			}
			continue
		}
		value, err := get(name)
		if err != nil {
			return fmt.Errorf("get attribute %s: %w", show(name), err)
		}
		if hdr.PAXRecords == nil {
			hdr.PAXRecords = map[string]string{}
		}
		hdr.PAXRecords[xattrPrefix+encodeXattr.Replace(name)] = string(value)
	}
	return nil
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
