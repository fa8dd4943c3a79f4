// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/oci"
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

	// Hollow is the path of a directory that is written as if it were empty, ""
	// for none.
	Hollow string

	// View says that dir is what a mount of layers shows. It has no whiteouts and no
	// opaque directories of ours: what looks like those is an overlay's inside, whose
	// marks the kernel shows without what they are escaped with in a layer.
	View bool

	// Only is the name of the one entry of dir that is written, with all beneath
	// it; "." is dir itself, and "" writes what dir holds. As is what it is called
	// in the archive. Root has no meaning then, and Hollow is a path in the archive.
	Only, As string
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
	defer runtime.KeepAlive(dir) // its descriptor is used bare
	rec, err := newRecorder(record)
	if err != nil {
		return Info{}, err
	}
	sum := sha256.New()
	out := &outlet{out: writeBehind(io.MultiWriter(sum, w), writeSize), rec: rec}
	c := &composer{ctx: ctx, out: out, tar: tar.NewWriter(out), buf: make([]byte, chunkSize)}
	err = c.run(int(dir.Fd()), opts)
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

// writeSize is how much is hashed and written at a time.
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

// composer puts the items of a walk into the archive.
type composer struct {
	ctx  context.Context
	out  *outlet
	tar  *tar.Writer
	buf  []byte
	info Info
}

// run walks on another goroutine: of a small file's time, finding and opening
// it is one half, and reading and writing it the other.
func (c *composer) run(root int, opts WriteOptions) error {
	ctx, stop := context.WithCancel(c.ctx)
	w := newWalker(ctx, opts)
	go w.run(root)
	var err error
	for batch := range w.items {
		for _, it := range batch {
			if err == nil {
				err = entryError(it.hdr.Name, c.add(it))
			}
			it.close()
		}
		if err != nil {
			stop()
		}
	}
	stop()
	if err == nil {
		err = w.err
	}
	if err != nil {
		return err
	}
	return c.tar.Close()
}

func (c *composer) add(it item) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.info.add(it.hdr.ModTime)
	if err := c.tar.WriteHeader(it.hdr); err != nil {
		return err
	}
	if it.fd < 0 {
		return nil
	}
	return c.content(it.fd, it.hdr.Name, it.hdr.Size)
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
		n, err := linux.FD(fd).Read(c.buf[:min(left, chunkSize)])
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

// item is an entry of the archive to be.
type item struct {
	hdr *tar.Header
	fd  int // of a file's content, which whoever takes the item closes; otherwise -1
}

func (it item) close() {
	if it.fd >= 0 {
		unix.Close(it.fd)
	}
}

// errChanged says that a tree does not stand still.
var errChanged = errors.New("it changed while it was read")
