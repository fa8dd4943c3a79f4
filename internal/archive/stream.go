// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"strata/internal/oci"
)

// maxMemory bounds the documents of a stream that are kept until its end, in
// bytes. The four that tell what is in it are kept in any case.
const maxMemory = 32 << 20

// maxBlobs bounds what is taken of a stream because it can be a layer.
const maxBlobs = 10_000

// maxRest bounds what is read behind the end of an archive, in bytes: who writes
// the stream wants to write his padding.
const maxRest = 64 << 20

// Taken says what a blob turned out to hold.
type Taken struct {
	Blob, DiffID oci.Digest
}

// Take takes a blob that can be a layer while it is read. d has a digest where the
// member's name says one, and diffID is "" unless documents that came before say
// it. An error that the machine is the cause of ends the stream; another counts
// only if an image has that layer.
type Take func(ctx context.Context, blob io.Reader, d oci.Descriptor, diffID oci.Digest) (Taken, error)

// streamMembers are what was kept of an archive that has been read to its end.
type streamMembers struct {
	documents map[string][]byte
	bytes     int
	layers    map[string]result
	passed    map[string]error // why a member was not kept
	link      links
	hints     *hints
}

type result struct {
	d     oci.Descriptor
	taken Taken
	err   error
}

// ReadStream reads an uncompressed tar archive once. Blobs that can be layers go to
// take, one after the other, and documents are kept in memory.
func ReadStream(ctx context.Context, r io.Reader, take Take) (*Reader, error) {
	m := &streamMembers{
		documents: make(map[string][]byte), layers: make(map[string]result), passed: make(map[string]error),
		link: make(links), hints: newHints(),
	}
	var n counter
	members := tar.NewReader(r)
	for {
		h, err := members.Next()
		if err == io.EOF && n.members == 0 {
			return nil, errEmpty
		}
		if err == io.EOF {
			return newReader(m), drain(r)
		}
		if err == nil {
			err = n.count(h)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = m.add(ctx, h, members, take)
		}
		if err != nil {
			return nil, unreadable(err, n)
		}
	}
}

func drain(r io.Reader) error {
	if _, err := io.CopyN(io.Discard, r, maxRest); err != io.EOF {
		return err
	}
	return nil
}

// add keeps a member, or passes it to take. Of two with one name the later counts.
func (m *streamMembers) add(ctx context.Context, h *tar.Header, r io.Reader, take Take) error {
	name := clean(h.Name)
	if len(name) > maxName {
		return nil
	}
	m.forget(name)
	if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeGNUSparse {
		m.link.add(name, h)
		return nil
	}
	head, err := readHead(r)
	if err != nil {
		return err
	}
	content := io.MultiReader(bytes.NewReader(head), r)
	if mediaType, ok := layerType(head); ok {
		return m.take(ctx, name, oci.Descriptor{MediaType: mediaType, Size: h.Size}, content, take)
	}
	return m.keep(name, content, h.Size)
}

func (m *streamMembers) forget(name string) {
	m.bytes -= len(m.documents[name])
	delete(m.documents, name)
	delete(m.layers, name)
	delete(m.passed, name)
	delete(m.link, name)
}

func (m *streamMembers) take(ctx context.Context, name string, d oci.Descriptor, blob io.Reader, take Take) error {
	if hex, ok := strings.CutPrefix(name, blobDir); ok {
		if digest, err := oci.ParseDigest("sha256:" + hex); err == nil {
			d.Digest = digest
		}
	}
	if len(m.layers) == maxBlobs {
		return fmt.Errorf("more than the %d layers allowed", maxBlobs)
	}
	counted := &failing{r: blob}
	taken, err := take(ctx, counted, d, m.hints.diffIDs[name])
	var errno syscall.Errno
	switch {
	case counted.err != nil: // the archive ends too early
		return fmt.Errorf("member %s: %w", quote(name), counted.err)
	case err != nil && (ctx.Err() != nil || errors.As(err, &errno)):
		return err
	}
	m.layers[name] = result{d, taken, err}
	return nil
}

// failing notes the error of a reader, to tell it from that of what is in it.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// keep keeps a document.
func (m *streamMembers) keep(name string, r io.Reader, size int64) error {
	if size > oci.MaxDocument {
		m.passed[name] = fmt.Errorf("%d bytes, more than the %d allowed", size, oci.MaxDocument)
		return nil
	}
	if m.bytes+int(size) > maxMemory && name != layoutName && name != indexName && name != dockerName {
		m.passed[name] = fmt.Errorf("the documents of the archive have more than %d bytes; load it from a file", maxMemory)
		return nil
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return err
	}
	m.documents[name], m.bytes = data, m.bytes+len(data)
	m.hints.learn(name, m.documents)
	return nil
}

func (m *streamMembers) open(name string) (io.ReadCloser, int64, error) {
	name, err := m.link.follow(name)
	if err != nil {
		return nil, 0, err
	}
	if data, ok := m.documents[name]; ok {
		return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
	}
	if l, ok := m.layers[name]; ok {
		if l.err == nil {
			l.err = errors.New("it has been read as a layer")
		}
		return nil, 0, l.err
	}
	if err := m.passed[name]; err != nil {
		return nil, 0, err
	}
	return nil, 0, fs.ErrNotExist
}

func (m *streamMembers) layer(name string, diffID oci.Digest) (oci.Descriptor, error) {
	name, err := m.link.follow(name)
	if err != nil {
		return oci.Descriptor{}, err
	}
	l, ok := m.layers[name]
	if !ok {
		return describe(m, name, diffID)
	}
	l.d.Digest = l.taken.Blob
	return l.d, l.compare(diffID)
}

func (l result) compare(diffID oci.Digest) error {
	if l.err == nil && l.taken.DiffID != diffID {
		return fmt.Errorf("its archive has the digest %s, the config says %s", l.taken.DiffID, diffID)
	}
	return l.err
}

func (m *streamMembers) check(d oci.Descriptor, diffID oci.Digest) error {
	name, err := m.link.follow(blobName(d.Digest))
	if err != nil {
		return err
	}
	l, ok := m.layers[name]
	if !ok {
		return nil // it may be in the store
	}
	if l.d.Size != d.Size {
		return fmt.Errorf("it has %d bytes, the manifest says %d", l.d.Size, d.Size)
	}
	return l.compare(diffID)
}

func (m *streamMembers) Close() error { return nil }
