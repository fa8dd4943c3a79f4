// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// errKept says that a record has a kept frame: what file frames mean is known
// only to who has looked for those first.
var errKept = errors.New("the record has kept content")

// replay reads the archive as it is made again, and passes it on to out. It can
// seek forward, which passes on what it skips: so a tar reader finds the headers,
// and the content of files goes from the tree to out without a copy.
type replay struct {
	ctx    context.Context
	frames frames
	kept   *keptContent // nil: not known, and a kept frame is errKept
	shadow *shadow
	later  []string // files that were changed after the tree was finished
	dir    *directory
	out    *behind
	number int // of the frame
	size   int64

	left int64     // bytes of the frame
	from io.Reader // where they are; nil for nowhere
	fd   int       // of a file of the tree; -1
	// The last byte of a frame is passed on with those before it: the tar reader
	// skips all but that, and reads it.
	last    byte
	hasLast bool
	// broken is why a file of the tree cannot be had, the first one. What comes out
	// is no archive any more, and nothing is passed on.
	broken error
	failed error // the record's own
	ended  bool
}

func (r *replay) Read(p []byte) (int, error) {
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := int(min(int64(len(p)), r.left))
	if r.hasLast && n > 0 {
		p[0], r.hasLast = r.last, false
		r.passed(1)
		return 1, nil
	}
	if r.from == nil {
		clear(p[:n])
		r.passed(n)
		return n, nil
	}
	n, err := r.from.Read(p[:n])
	if err = r.check(n, err); err != nil {
		return n, err
	}
	if r.broken == nil {
		if _, err := r.out.Write(p[:n]); err != nil {
			return n, err
		}
	}
	r.passed(n)
	return n, nil
}

// Seek goes on by offset bytes; nothing else is asked of it.
func (r *replay) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || offset < 0 {
		return 0, errors.New("an archive that is made again goes forward only")
	}
	for offset > 0 {
		if err := r.fill(); err != nil {
			return r.size, noEOF(err)
		}
		n, err := r.skip(offset)
		if err != nil {
			return r.size, err
		}
		offset -= n
	}
	return r.size, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skip passes on at most most bytes of the frame.
func (r *replay) skip(most int64) (int64, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.from == nil {
		n := min(most, r.left)
		r.passed(int(n))
		return n, nil
	}
	if r.hasLast {
		r.hasLast = false
		r.passed(1)
		return 1, nil
	}
	butLast := most == r.left-1
	if butLast {
		most = r.left
	}
	space := r.out.space()
	n, err := r.from.Read(space[:min(int64(len(space)), most, r.left)])
	if err = r.check(n, err); err != nil {
		return 0, err
	}
	if butLast && int64(n) == r.left {
		r.last, r.hasLast = space[n-1], true
	}
	if r.broken == nil {
		if err := r.out.advance(n); err != nil {
			return 0, err
		}
	}
	if r.hasLast {
		n--
	}
	r.passed(n)
	return int64(n), nil
}

// check takes a file of the tree that ends early, because somebody has cut it
// meanwhile, for a broken one.
func (r *replay) check(n int, err error) error {
	switch {
	case err == nil, err == io.EOF && n > 0:
		return nil
	case r.fd >= 0:
		r.broken, r.from = noEOF(err), nil
		return nil
	}
	r.failed = fmt.Errorf("read record: %w", noEOF(err))
	return r.failed
}

func (r *replay) passed(n int) { r.size, r.left = r.size+int64(n), r.left-int64(n) }

// fill goes on to the next frame that has bytes of the archive; io.EOF at the end
// of the archive.
func (r *replay) fill() error {
	if r.ended {
		return io.EOF
	}
	for r.left == 0 {
		r.close()
		fr, err := r.frames.next()
		if err == nil {
			err = r.begin(fr)
		}
		if r.ended {
			return io.EOF
		}
		if err != nil && !errors.Is(err, errKept) {
			err = fmt.Errorf("read record: %w", err)
		}
		if err != nil {
			r.failed = err
			return err
		}
		r.number++
	}
	return nil
}

func (r *replay) begin(fr frame) error {
	if err := over("bytes in the archive", fr.size, r.shadow.limit.Bytes); err != nil {
		return err
	}
	switch fr.kind {
	case frameRaw:
		r.left, r.from = fr.size, r.frames
	case frameFile:
		r.left = fr.size
		return r.file(fr)
	case frameKept:
		if r.kept == nil {
			return errKept
		}
		return discard(r.frames, fr.size)
	case frameEnd:
		return r.end(fr.size)
	}
	return nil
}

func (r *replay) end(size int64) error {
	if r.size != size {
		return fmt.Errorf("it makes %d bytes, the archive had %d", r.size, size)
	}
	err := atEnd(r.frames)
	r.ended = err == nil
	return err
}

func (r *replay) file(fr frame) error {
	r.from = nil
	if r.kept != nil {
		if content, ok := r.kept.find(fr.path, r.number); ok {
			if content.Size() != fr.size {
				return fmt.Errorf("file %s: %d bytes of it are in the record, the archive had %d", show(fr.path), content.Size(), fr.size)
			}
			r.from = content
			return nil
		}
	}
	if r.broken == nil {
		if err := r.open(fr); err != nil {
			r.broken = fmt.Errorf("file %s: %w", show(fr.path), err)
		}
	}
	return nil
}

// open opens a file of the tree.
func (r *replay) open(fr frame) error {
	parent, base := split(fr.path)
	dir, err := r.dir.open(parent)
	if err != nil {
		return err
	}
	fd, err := openQuietly(dir, base, 0)
	if err != nil {
		return err
	}
	st, err := linux.Fstat(fd)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != fr.size) {
		err = fmt.Errorf("it is %s of %d bytes, the archive had a file of %d", kindName(st.Mode&unix.S_IFMT), st.Size, fr.size)
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	r.fd, r.from = fd, linux.FD(fd)
	r.compare(fr.path, &st)
	return nil
}

// compare compares the open file with the entry that it is the content of. If all
// is as it should be, and it is of the common kind without attributes, that need
// not be done again: finding and opening a file takes longer than looking at it.
func (r *replay) compare(path string, st *unix.Stat_t) {
	f, opts := r.shadow.last, &r.shadow.opts
	if f == nil || r.shadow.lastPath != path || f.more != nil || !f.has(st, opts) {
		return
	}
	var none [1]byte
	if n, err := unix.Flistxattr(r.fd, none[:]); n != 0 || err != nil {
		return
	}
	f.known, f.ino, f.nlink = true, st.Ino, uint32(st.Nlink)
	if changedSince(st, opts.Since) {
		r.later = append(r.later, path)
	}
}

// has reports whether a file has the attributes exactly.
func (f *file) has(st *unix.Stat_t, opts *VerifyOptions) bool {
	return st.Mode == f.mode && st.Size == f.size && st.Mtim.Sec == f.sec && (st.Mtim.Nsec == int64(f.nsec) || opts.Sealed) &&
		(st.Uid == f.uid && st.Gid == f.gid || opts.Unprivileged)
}

func changedSince(st *unix.Stat_t, since time.Time) bool {
	return !since.IsZero() && st.Mode&unix.S_IFMT == unix.S_IFREG && time.Unix(st.Ctim.Sec, st.Ctim.Nsec).After(since)
}

// drain passes on what follows the last entry.
func (r *replay) drain() error {
	for {
		if err := r.fill(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := r.skip(r.left); err != nil {
			return err
		}
	}
}

// close closes the file of the tree that is open.
func (r *replay) close() {
	if r.fd >= 0 {
		unix.Close(r.fd)
		r.fd = -1
	}
}
