// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"encoding/binary"
	"io"

	"compress/gzip"
)

// The record of an archive holds everything of it that the tree beside it does
// not, so that Rebuild can make the same bytes again. It is one gzip member
// (RFC 1952) whose content is
//
//	record = magic *frame end
//	magic  = "strata-archive 1" LF
//	frame  = raw / file / kept
//	raw    = %d1 length bytes         these bytes of the archive
//	file   = %d2 path size            the content of the tree's file at path
//	kept   = %d3 path size bytes      not of the archive; see below
//	end    = %d0 size                 the size of the whole archive
//	path   = length bytes             relative to the tree, clean, without ".."
//	length = uvarint
//	size   = uvarint
//
// where uvarint is protocol buffers' base-128 varint and raw, file and kept
// stand in the order of the archive. Headers, extended headers, padding, the
// blocks at the end and what follows them are raw; so is the content of sparse
// and of ignored entries.
//
// An archive may name a path twice, and the tree has only the last one. When an
// entry removes a file, a kept frame takes its content along: each file frame
// means the content of the first kept frame of the same path that comes after
// it, and the tree's file where none does. A reader therefore looks for kept
// frames first and makes the archive in a second pass.
const magic = "strata-archive 1\n"

const (
	frameEnd  = 0
	frameRaw  = 1
	frameFile = 2
	frameKept = 3
)

// rawSize is how many raw bytes are collected into one frame.
const rawSize = 64 << 10

// recorder writes a record. The zero recorder, for which nobody asked, ignores
// everything. Errors come out of close.
type recorder struct {
	out  *behind
	gz   *gzip.Writer
	raw  []byte
	head []byte // reused for what begins a frame
	err  error
}

// newRecorder starts a record in w, nil for none. The caller closes it.
func newRecorder(w io.Writer) (*recorder, error) {
	if w == nil {
		return &recorder{}, nil
	}
	gz, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	r := &recorder{out: writeBehind(gz, chunkSize), gz: gz}
	r.write([]byte(magic))
	return r, nil
}

func (r *recorder) enabled() bool { return r.out != nil }

func (r *recorder) write(b []byte) {
	if r.err == nil {
		_, r.err = r.out.Write(b)
	}
}

// addRaw adds bytes of the archive.
func (r *recorder) addRaw(b []byte) {
	if !r.enabled() {
		return
	}
	r.raw = append(r.raw, b...)
	if len(r.raw) >= rawSize {
		r.flush()
	}
}

func (r *recorder) flush() {
	if len(r.raw) > 0 {
		r.frame(frameRaw, "", int64(len(r.raw)))
		r.write(r.raw)
		r.raw = r.raw[:0]
	}
}

// addFile says that the content of the file at path comes next.
func (r *recorder) addFile(path string, size int64) {
	if r.enabled() && size > 0 {
		r.flush()
		r.frame(frameFile, path, size)
	}
}

// addKept takes along the content of the file at path, which is removed.
func (r *recorder) addKept(path string, size int64, content io.Reader) error {
	if !r.enabled() || size == 0 {
		return nil
	}
	r.flush()
	r.frame(frameKept, path, size)
	if r.err != nil {
		return r.err
	}
	n, err := io.Copy(r.out, io.LimitReader(content, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (r *recorder) frame(kind byte, path string, size int64) {
	r.head = append(r.head[:0], kind)
	if kind == frameFile || kind == frameKept {
		r.head = binary.AppendUvarint(r.head, uint64(len(path)))
		r.head = append(r.head, path...)
	}
	r.head = binary.AppendUvarint(r.head, uint64(size))
	r.write(r.head)
}

// finish ends the record of an archive of size bytes.
func (r *recorder) finish(size int64) {
	if r.enabled() {
		r.flush()
		r.frame(frameEnd, "", size)
	}
}

// close waits until everything is written, and reports the first error. Without
// finish before it the record stays incomplete, which a reader notices.
func (r *recorder) close() error {
	if !r.enabled() {
		return nil
	}
	err := r.out.Close()
	if err == nil {
		err = r.err
	}
	if closeErr := r.gz.Close(); err == nil {
		err = closeErr
	}
	return err
}
