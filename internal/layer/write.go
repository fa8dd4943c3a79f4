// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/overlay"
)

// WriteOptions says how an archive is written.
type WriteOptions struct {
	Marks

	// Epoch is the latest modification time that is written; what is later is
	// written as Epoch (SOURCE_DATE_EPOCH). Nil writes times as they are.
	Epoch *time.Time

	// Root adds an entry "./" for the directory itself. An image's lowest layer
	// needs one if its root is to keep mode, owner and attributes; in a layer of
	// changes it is noise unless they have changed.
	Root bool
}

// Write writes what dir holds, a tree in overlay form, as an uncompressed tar
// to w, and what Rebuild needs to record unless that is nil. Nothing may change
// the tree meanwhile.
//
// Equal trees give equal bytes: entries in path order, each directory's opaque
// mark and whiteouts before its other entries, the first name of a file as the
// file and the others as hard links, ids without names, modification times in
// whole seconds, cut off and not rounded, and extended headers only where the
// plain one has no room. Overlay's own attributes and sockets are left out.
//
// The error is an *EntryError where one entry is to blame: a name that begins
// with ".wh.", a metacopy or redirect mark, a file that cannot be read.
func Write(ctx context.Context, dir *os.File, w io.Writer, record io.Writer, opts WriteOptions) (Info, error) {
	rec, err := newRecorder(record)
	if err != nil {
		return Info{}, err
	}
	sum := sha256.New()
	out := &outlet{out: writeBehind(io.MultiWriter(sum, w), writeSize), rec: rec}
	c := &composer{ctx: ctx, opts: opts, out: out, tar: tar.NewWriter(out), names: map[inode]string{}}
	err = c.run(int(dir.Fd()))
	if closeErr := out.out.Close(); closeErr != nil { // then it is the cause of err too
		err = fmt.Errorf("write archive: %w", closeErr)
	}
	if err == nil {
		rec.finish(out.size)
	}
	if closeErr := rec.close(); err == nil && closeErr != nil {
		err = fmt.Errorf("write record: %w", closeErr)
	}
	if err != nil {
		return Info{}, err
	}
	c.info.DiffID, c.info.ArchiveSize = oci.FromSum(sum.Sum(nil)), out.size
	return c.info, nil
}

// writeSize is how much is read, hashed and written at a time.
const writeSize = 1 << 20

// outlet is where the tar writer puts the archive. What it writes while a
// file's content passes is in the tree; the rest goes into the record.
type outlet struct {
	out     *behind
	rec     *recorder
	content bool
	size    int64
}

func (o *outlet) Write(p []byte) (int, error) {
	o.size += int64(len(p))
	if !o.content {
		o.rec.addRaw(p)
	}
	return o.out.Write(p)
}

type inode struct{ dev, ino uint64 }

// composer is the state of one Write.
type composer struct {
	ctx   context.Context
	opts  WriteOptions
	out   *outlet
	tar   *tar.Writer
	buf   []byte // for the content of files
	names map[inode]string
	info  Info
}

func (c *composer) run(root int) error {
	if err := c.root(root); err != nil {
		return entryError(".", err)
	}
	if err := c.children(root, ""); err != nil {
		return err
	}
	return c.tar.Close()
}

func (c *composer) root(fd int) error {
	st, err := linux.Fstat(fd)
	if err != nil {
		return err
	}
	if c.opts.Root {
		return c.directoryHeader(fd, "./", &st)
	}
	isOpaque, err := c.opts.Opaque(fd, ".")
	if err != nil || !isOpaque {
		return err
	}
	return c.mark(opaqueName)
}

// children writes what the directory open at fd holds; prefix is its path with
// a slash, and empty for the root.
func (c *composer) children(fd int, prefix string) error {
	entries, err := linux.ReadDir(fd)
	if err != nil {
		return entryError(path.Clean(prefix), err)
	}
	entries, err = c.whiteouts(fd, prefix, entries)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.entry(fd, prefix+e.Name, e); err != nil {
			return entryError(prefix+e.Name, err)
		}
	}
	return nil
}

// whiteouts writes those of a directory and returns the other entries.
func (c *composer) whiteouts(fd int, prefix string, entries []linux.Dirent) ([]linux.Dirent, error) {
	rest := entries[:0]
	for _, e := range entries {
		isWhiteout, err := isWhiteout(fd, e)
		if err == nil && isWhiteout {
			err = c.mark(prefix + whiteoutPrefix + e.Name)
		} else if strings.HasPrefix(e.Name, whiteoutPrefix) {
			err = fmt.Errorf("names that begin with %s stand for whiteouts in a layer; rename or remove it", whiteoutPrefix)
		}
		if err != nil {
			return nil, entryError(prefix+e.Name, err)
		}
		if !isWhiteout {
			rest = append(rest, e)
		}
	}
	return rest, nil
}

func isWhiteout(fd int, e linux.Dirent) (bool, error) {
	if e.Type != unix.DT_CHR && e.Type != unix.DT_UNKNOWN {
		return false, nil
	}
	st, err := linux.Lstat(fd, e.Name)
	return err == nil && overlay.IsWhiteout(&st), err
}

// mark writes a whiteout or an opaque mark: an empty file that has nothing but
// its name. When a name was removed is nobody's business.
func (c *composer) mark(name string) error {
	return c.writeHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, ModTime: time.Unix(0, 0)})
}

func (c *composer) writeHeader(hdr *tar.Header) error {
	c.info.Entries++
	return c.tar.WriteHeader(hdr)
}

func (c *composer) entry(dir int, name string, e linux.Dirent) error {
	if err := over("bytes in a path", len(name), pathMax-1); err != nil {
		return err
	}
	switch e.Type {
	case unix.DT_REG:
		return c.file(dir, name, e.Name)
	case unix.DT_DIR:
		return c.directory(dir, name, e.Name)
	case unix.DT_SOCK:
		return nil
	}
	st, err := linux.Lstat(dir, e.Name)
	if err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT { // of what getdents64 gave no type for
	case unix.S_IFREG:
		return c.file(dir, name, e.Name)
	case unix.S_IFDIR:
		return c.directory(dir, name, e.Name)
	case unix.S_IFSOCK:
		return nil
	}
	return c.node(dir, name, e.Name, &st)
}

func (c *composer) directory(dir int, name, base string) error {
	fd, err := openQuietly(dir, base, unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer unix.Close(fd)
	st, err := linux.Fstat(fd)
	if err != nil {
		return err
	}
	if err := c.directoryHeader(fd, name+"/", &st); err != nil {
		return err
	}
	return c.children(fd, name+"/")
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
