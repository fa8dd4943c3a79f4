// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"

	"compress/gzip"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// Rebuild writes to w the exact archive that dir was applied from or written
// as. The record is read twice from where it stands. Bytes of files are copied
// as they are: that they are still the right ones only the digest of what comes
// out can say, and that is the caller's to check. A record that is damaged, or
// a file that is missing or has another size, is an error.
func Rebuild(ctx context.Context, dir *os.File, record io.ReadSeeker, w io.Writer) error {
	defer runtime.KeepAlive(dir) // its descriptor is used bare
	start, err := record.Seek(0, io.SeekCurrent)
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	kept, err := readKept(ctx, record)
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	defer kept.close()
	if _, err := record.Seek(start, io.SeekStart); err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	out := writeBehind(w, writeSize)
	r := &rebuilder{ctx: ctx, kept: kept, out: out, dir: newDirectory(int(dir.Fd())), buf: make([]byte, chunkSize)}
	err = r.run(record)
	r.dir.close()
	if closeErr := out.Close(); closeErr != nil { // then it is the cause of err too
		err = fmt.Errorf("write archive: %w", closeErr)
	}
	return err
}

// frames reads a record.
type frames struct {
	*bufio.Reader
}

// frame is one of them; the size bytes of a raw or kept one are read next.
type frame struct {
	kind byte
	path string
	size int64
}

var errRecord = errors.New("not a record of an archive")

func openRecord(r io.Reader) (frames, error) {
	gz, err := gzip.NewReader(r)
	if err != nil {
		return frames{}, err
	}
	f := frames{bufio.NewReaderSize(gz, rawSize)}
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(f, head); err != nil || string(head) != magic {
		return frames{}, errRecord
	}
	return f, nil
}

func (f frames) next() (fr frame, err error) {
	defer func() {
		if err == io.EOF { // a record ends with a frame that says so
			err = io.ErrUnexpectedEOF
		}
	}()
	if fr.kind, err = f.ReadByte(); err != nil {
		return fr, err
	}
	switch fr.kind {
	case frameEnd, frameRaw:
	case frameFile, frameKept:
		if fr.path, err = f.path(); err != nil {
			return fr, err
		}
	default:
		return fr, fmt.Errorf("frame of unknown kind %d", fr.kind)
	}
	fr.size, err = f.length(1<<63 - 1)
	return fr, err
}

func (f frames) length(most uint64) (int64, error) {
	n, err := binary.ReadUvarint(f)
	if err == nil && n > most {
		err = fmt.Errorf("length %d is out of range", n)
	}
	return int64(n), err
}

// path refuses what Apply and Write never name.
func (f frames) path() (string, error) {
	n, err := f.length(pathMax)
	if err != nil {
		return "", err
	}
	buf := make([]byte, n)
	if _, err := io.ReadFull(f, buf); err != nil {
		return "", err
	}
	name := string(buf)
	if clean := path.Clean("/" + name); clean != "/"+name || name == "" || strings.IndexByte(name, 0) >= 0 {
		return "", fmt.Errorf("path %s is not clean", show(name))
	}
	return name, nil
}

// rebuilder is the second pass over a record.
type rebuilder struct {
	ctx  context.Context
	kept *keptContent
	out  *behind
	dir  *directory
	buf  []byte
	size int64
}

func (r *rebuilder) run(record io.Reader) error {
	f, err := openRecord(record)
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	for number := 0; ; number++ {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		fr, err := f.next()
		if err != nil {
			return fmt.Errorf("read record: %w", err)
		}
		switch fr.kind {
		case frameRaw:
			err = r.copy(f, fr.size)
		case frameFile:
			err = r.file(fr, number)
		case frameKept:
			_, err = io.CopyN(io.Discard, f, fr.size)
		case frameEnd:
			return r.end(fr.size)
		}
		if err != nil {
			return err
		}
	}
}

func (r *rebuilder) end(size int64) error {
	if r.size != size {
		return fmt.Errorf("read record: it makes %d bytes, the archive had %d", r.size, size)
	}
	return nil
}

// copy takes size bytes to the archive.
func (r *rebuilder) copy(from io.Reader, size int64) error {
	for left := size; left > 0; {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		n, err := from.Read(r.buf[:min(left, int64(len(r.buf)))])
		if _, err := r.out.Write(r.buf[:n]); err != nil {
			return err
		}
		left -= int64(n)
		r.size += int64(n)
		if err == io.EOF && left > 0 {
			return io.ErrUnexpectedEOF
		} else if err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

func (r *rebuilder) file(fr frame, number int) error {
	var err error
	if content, ok := r.kept.find(fr.path, number); ok {
		err = r.keptFile(content, fr)
	} else {
		err = r.treeFile(fr)
	}
	if err != nil {
		return fmt.Errorf("file %s: %w", show(fr.path), err)
	}
	return nil
}

func (r *rebuilder) keptFile(content *io.SectionReader, fr frame) error {
	if content.Size() != fr.size {
		return fmt.Errorf("%d bytes of it are in the record, the archive had %d", content.Size(), fr.size)
	}
	return r.copy(content, fr.size)
}

func (r *rebuilder) treeFile(fr frame) error {
	parent, base := split(fr.path)
	dir, err := r.dir.open(parent)
	if err != nil {
		return err
	}
	fd, err := openQuietly(dir, base, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	st, err := linux.Fstat(fd)
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != fr.size {
		return fmt.Errorf("it is %s of %d bytes, the archive had a file of %d", kindName(st.Mode&unix.S_IFMT), st.Size, fr.size)
	}
	return r.copy(linux.FD(fd), fr.size)
}
