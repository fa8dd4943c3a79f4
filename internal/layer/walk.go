// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/overlay"
)

// walker finds what a tree in overlay form holds, in the archive's order.
type walker struct {
	ctx   context.Context
	opts  WriteOptions
	names map[inode]string // the first name of each file that has several
	batch []item
	items chan []item
	err   error // once items is closed
}

type inode struct{ dev, ino uint64 }

// Items go over in batches, since waking the other goroutine for each would cost
// more than the item. Up to three batches of files are open at a time.
const batchSize = 64

func newWalker(ctx context.Context, opts WriteOptions) *walker {
	return &walker{ctx: ctx, opts: opts, names: map[inode]string{}, items: make(chan []item, 1)}
}

// run sends the items and closes the channel. Whoever reads it reads it to the
// end, after cancelling the context too.
func (w *walker) run(root int) {
	defer close(w.items)
	w.err = w.tree(root)
	w.items <- w.batch
}

func (w *walker) tree(root int) error {
	if w.opts.Only != "" {
		return entryError(w.opts.As, w.entry(root, w.opts.As, linux.Dirent{Name: w.opts.Only}))
	}
	if err := w.root(root); err != nil {
		return entryError(".", err)
	}
	return w.children(root, "")
}

func (w *walker) send(hdr *tar.Header, fd int) {
	w.batch = append(w.batch, item{hdr, fd})
	if len(w.batch) == batchSize {
		w.items <- w.batch
		w.batch = make([]item, 0, batchSize)
	}
}

func (w *walker) root(fd int) error {
	st, err := linux.Fstat(fd)
	if err != nil {
		return err
	}
	if w.opts.Root {
		return w.describe(fd, "./", &st)
	}
	isOpaque, err := w.opaque(fd)
	if err == nil && isOpaque {
		w.mark(opaqueName)
	}
	return err
}

// children sends what the directory open at fd holds; prefix is its path with a
// slash, and empty for the root.
func (w *walker) children(fd int, prefix string) error {
	entries, err := linux.ReadDir(fd)
	if err != nil {
		return entryError(path.Clean(prefix), err)
	}
	entries, err = w.whiteouts(fd, prefix, entries)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.entry(fd, prefix+e.Name, e); err != nil {
			return entryError(prefix+e.Name, err)
		}
	}
	return nil
}

// whiteouts sends those of a directory and returns the other entries.
func (w *walker) whiteouts(fd int, prefix string, entries []linux.Dirent) ([]linux.Dirent, error) {
	rest := entries[:0]
	for _, e := range entries {
		isWhiteout, err := isWhiteout(fd, e)
		switch {
		case err != nil:
		case isWhiteout:
			w.mark(prefix + whiteoutPrefix + e.Name)
			continue
		case strings.HasPrefix(e.Name, whiteoutPrefix):
			err = fmt.Errorf("names that begin with %s stand for whiteouts in a layer; rename or remove it", whiteoutPrefix)
		}
		if err != nil {
			return nil, entryError(prefix+e.Name, err)
		}
		rest = append(rest, e)
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

// mark sends a whiteout or an opaque mark: an empty file that has nothing but
// its name. When a name was removed is nobody's business.
func (w *walker) mark(name string) {
	w.send(&tar.Header{Typeflag: tar.TypeReg, Name: name, ModTime: time.Unix(0, 0)}, -1)
}

func (w *walker) entry(dir int, name string, e linux.Dirent) error {
	if err := over("bytes in a path", len(name), pathMax-1); err != nil {
		return err
	}
	switch e.Type {
	case unix.DT_REG:
		return w.file(dir, name, e.Name)
	case unix.DT_DIR:
		return w.directory(dir, name, e.Name)
	case unix.DT_SOCK:
		return nil
	}
	st, err := linux.Lstat(dir, e.Name)
	if err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT { // for what getdents64 gave no type
	case unix.S_IFREG:
		return w.file(dir, name, e.Name)
	case unix.S_IFDIR:
		return w.directory(dir, name, e.Name)
	case unix.S_IFSOCK:
		return nil
	}
	return w.node(dir, name, e.Name, &st)
}

func (w *walker) directory(dir int, name, base string) error {
	fd, err := openQuietly(dir, base, unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer unix.Close(fd)
	st, err := linux.Fstat(fd)
	if err != nil {
		return err
	}
	if err := w.describe(fd, name+"/", &st); err != nil {
		return err
	}
	if name == w.opts.Hollow {
		return nil
	}
	return w.children(fd, name+"/")
}

// describe sends the entry of the directory open at fd, and its opaque mark. The
// name ends in a slash.
func (w *walker) describe(fd int, name string, st *unix.Stat_t) error {
	hdr := w.header(name, tar.TypeDir, st)
	names, err := addXattrs(hdr, openEntry(fd))
	if err != nil {
		return err
	}
	w.send(hdr, -1)
	if len(names) == 0 {
		return nil
	}
	isOpaque, err := w.opaque(fd)
	if err == nil && isOpaque {
		w.mark(strings.TrimPrefix(name, "./") + opaqueName)
	}
	return err
}

func (w *walker) opaque(fd int) (bool, error) {
	if w.opts.View {
		return false, nil
	}
	return w.opts.Opaque(fd, ".")
}

// file sends a regular file, or a hard link when another name of it was sent.
func (w *walker) file(dir int, name, base string) error {
	fd, err := openQuietly(dir, base, 0)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	hdr, err := w.fileHeader(fd, name)
	if err != nil || hdr.Size == 0 {
		unix.Close(fd)
		fd = -1
	}
	if err == nil {
		w.send(hdr, fd)
	}
	return err
}

func (w *walker) fileHeader(fd int, name string) (*tar.Header, error) {
	st, err := linux.Fstat(fd)
	if err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errChanged
	}
	if hdr := w.linked(name, &st); hdr != nil {
		return hdr, nil
	}
	hdr := w.header(name, tar.TypeReg, &st)
	hdr.Size = st.Size
	_, err = addXattrs(hdr, openEntry(fd))
	return hdr, err
}

// node sends a symbolic link, a device or a pipe.
func (w *walker) node(dir int, name, base string, st *unix.Stat_t) error {
	if hdr := w.linked(name, st); hdr != nil {
		w.send(hdr, -1)
		return nil
	}
	hdr := w.header(name, tar.TypeFifo, st)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		hdr.Typeflag = tar.TypeSymlink
		target, err := linux.Readlink(dir, base)
		if err != nil {
			return fmt.Errorf("readlink: %w", err)
		}
		hdr.Linkname = target
	case unix.S_IFCHR:
		hdr.Typeflag, hdr.Devmajor, hdr.Devminor = tar.TypeChar, int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	case unix.S_IFBLK:
		hdr.Typeflag, hdr.Devmajor, hdr.Devminor = tar.TypeBlock, int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	}
	if _, err := addXattrs(hdr, namedEntry{dir, base}); err != nil {
		return err
	}
	w.send(hdr, -1)
	return nil
}
