// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"strata/internal/oci"
)

// ApplyOptions says how an archive is applied.
type ApplyOptions struct {
	Marks
	Limits

	// Unprivileged: owners stay the caller's, attributes that only root may set
	// are left out and devices are refused. The record is whole all the same.
	Unprivileged bool
	// UserNamespace: devices, which cannot be made in one, are left out and hide
	// what lower layers have in their place, as are attributes that only root of
	// the host may set. The record is whole all the same.
	UserNamespace bool
	// LeftOut, when not nil, is called with the path of each device left out.
	LeftOut func(path string)

	// Implied, when not nil, is called at the end with each directory, "." among
	// them, that the archive has something beneath but no entry for. It has mode
	// 0755, and the time 0; what it should have is what the newest lower layer
	// that has it says.
	Implied func(path string)

	// Linked, when not nil, is called at the end with each hard link whose target
	// this layer does not have and does not hide, so that it means a file of the
	// layers beneath (moby#16774). It is not made: a whiteout stands in its place,
	// and over a stack it must be a copy of what that shows at target, which is
	// clean and as the archive says, with no link followed. Without Linked such a
	// link is refused.
	Linked func(path, target string)
}

// Apply writes what archive, an uncompressed tar, says into the empty directory
// dir, in overlay form. It reads the archive to its end. Unless record is nil it
// gets what Rebuild needs; it is complete only when Apply succeeds.
//
// Of entries with one path the last counts: a directory over a directory
// replaces its attributes and keeps what it holds, anything else replaces all
// that was there. A whiteout hides lower layers only, wherever it stands; beside
// a directory of the same name in this layer it makes that one opaque.
//
// The error is an *EntryError where one entry is to blame, with a *LimitError
// within where it passes a limit; io.ErrUnexpectedEOF is for a truncated
// archive. What has been written by then stays in dir. When Apply fails it
// returns after the Read of archive that is under way.
func Apply(ctx context.Context, archive io.Reader, dir *os.File, record io.Writer, opts ApplyOptions) (Info, error) {
	defer runtime.KeepAlive(dir) // its descriptor is used bare
	opts.Limits = opts.Limits.withDefaults()
	rec, err := newRecorder(record)
	if err != nil {
		return Info{}, err
	}
	in := readAhead(ctx, archive, opts.Bytes)
	a := newApplier(ctx, in, int(dir.Fd()), rec, opts)
	err = a.run()
	in.Close()
	a.dir.close()
	if err == nil {
		rec.finish(in.size)
	}
	if closeErr := rec.close(); err == nil && closeErr != nil {
		err = fmt.Errorf("write record: %w", closeErr)
	}
	if err != nil {
		return Info{}, err
	}
	a.info.DiffID, a.info.ArchiveSize = oci.FromSum(in.sum.Sum(nil)), in.size
	return a.info, nil
}

// applier is the state of one Apply.
type applier struct {
	ctx  context.Context
	opts ApplyOptions
	root int
	dir  *directory
	rec  *recorder
	in   *tap
	tar  *tar.Reader
	buf  []byte
	info Info

	made      int                   // entries and implied directories
	noted     int64                 // counts against Limits.Noted
	dirs      map[string]attributes // of the directories that are there, to be set at the end
	whiteouts map[string]struct{}   // paths to hide
	opaques   map[string]struct{}   // directories to make opaque
	leftOut   map[string]struct{}   // devices that are not there
	links     map[string]string     // hard links to what lower layers have, and their targets
}

// attributes are what a directory gets when nothing is written into it any more.
type attributes struct {
	mode    uint32
	mtime   time.Time
	implied bool   // no entry has named it
	acl     []byte // default access list, nil for none: what is made within would inherit from it
}

func newApplier(ctx context.Context, in *ahead, root int, rec *recorder, opts ApplyOptions) *applier {
	source := &tap{r: in, rec: rec}
	return &applier{
		ctx: ctx, opts: opts, root: root, rec: rec, in: source,
		dir: newDirectory(root), tar: tar.NewReader(source), buf: make([]byte, chunkSize),
		dirs:      map[string]attributes{".": impliedAttributes()},
		whiteouts: map[string]struct{}{}, opaques: map[string]struct{}{}, leftOut: map[string]struct{}{}, links: map[string]string{},
	}
}

func impliedAttributes() attributes {
	return attributes{mode: 0o755, mtime: time.Unix(0, 0), implied: true}
}

func (a *applier) run() error {
	last := ""
	for {
		a.in.begin()
		hdr, err := a.tar.Next()
		if err == io.EOF && a.in.begun { // an extended header without its entry
			err = io.ErrUnexpectedEOF
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return a.readError(last, err)
		}
		if err := a.ctx.Err(); err != nil {
			return err
		}
		if err := a.entry(hdr); err != nil {
			return entryError(hdr.Name, err)
		}
		if err := a.skip(); err != nil {
			return entryError(hdr.Name, err)
		}
		last = hdr.Name
	}
	if err := a.drain(); err != nil {
		return err
	}
	return a.finish()
}

// readError says how far the archive could be read.
func (a *applier) readError(last string, err error) error {
	if last == "" {
		return fmt.Errorf("read archive at its first entry: %w", err)
	}
	return fmt.Errorf("read archive after entry %s, byte %d: %w", show(last), a.in.size, err)
}

func (a *applier) entry(hdr *tar.Header) error {
	if hdr.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	a.info.add(hdr.ModTime)
	if err := a.count(); err != nil {
		return err
	}
	name, err := a.opts.cleanName(hdr.Name)
	if err != nil {
		return err
	}
	means, name, err := classify(strings.Clone(name)) // archive/tar cuts it from a header of up to a mebibyte, which would be kept with it
	if err != nil {
		return err
	}
	switch means {
	case whiteout:
		return a.hide(name)
	case opaque:
		return a.hideAll(name)
	case ignored:
		return nil
	}
	return a.place(name, hdr)
}

// skip reads what is left of an entry: the content of a whiteout, for instance.
func (a *applier) skip() error {
	for {
		_, err := a.tar.Read(a.buf)
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
	}
}

// count adds one to what the layer has made so far.
func (a *applier) count() error {
	a.made++
	return over("entries", a.made, a.opts.Entries)
}

// parent opens the directory that holds name, and makes it where no entry has.
func (a *applier) parent(name string) (fd int, base string, err error) {
	dir, base := split(name)
	fd, err = a.dir.make(dir, a.imply)
	return fd, base, err
}

// imply notes a directory that is made because an entry stands beneath it.
func (a *applier) imply(dir string) error {
	a.dirs[dir] = impliedAttributes()
	if err := a.note(dir); err != nil {
		return err
	}
	return a.count()
}

// noteCost is about what a noted path takes beside its bytes.
const noteCost = 48

// note counts a path that one of the maps now holds.
func (a *applier) note(name string) error {
	a.noted += int64(len(name)) + noteCost
	return over("bytes of paths of directories and whiteouts", a.noted, a.opts.Noted)
}

// drain reads what follows the end of the archive: it is part of the digest.
func (a *applier) drain() error {
	var trailing int64
	for {
		n, err := a.in.Read(a.buf)
		trailing += int64(n)
		if err := over("bytes after the end of the archive", trailing, a.opts.Trailing); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read archive after its end: %w", err)
		}
	}
}

// tap is the archive as the tar reader reads it. archive/tar never reads ahead
// of what Next and Read need, so all it takes in Next is the archive's framing
// and goes into the record; the content of files, for which paused is set, can
// be had from the tree.
type tap struct {
	r      io.Reader
	rec    *recorder
	paused bool
	size   int64

	header int64 // where the next header begins
	begun  bool  // there is something else than the zeros of an end
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if padding := int(max(t.header-t.size, 0)); !t.begun && n > padding {
		t.begun = !isZero(p[padding:n])
	}
	t.size += int64(n)
	if !t.paused {
		t.rec.addRaw(p[:n])
	}
	return n, err
}

// begin is called when an entry has been read, before the next.
func (t *tap) begin() {
	const block = 512
	t.header, t.begun = (t.size+block-1)/block*block, false
}
