// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"strata/internal/oci"
)

// Bounds of what is kept of an archive. The longest name that means something is
// that of a layer in Docker's form, of some 70 bytes.
const (
	maxMembers   = 100_000
	maxName      = 1024     // bytes; a member with a longer one is not kept
	maxNameBytes = 16 << 20 // of all names
	maxLinks     = 8        // that lead from one to the next
)

// ErrSparse is the error of Open for an archive whose members have holes; as a
// stream it can be read.
var ErrSparse = errors.New("members of the archive have holes")

// tarMembers is an index of an archive that is read at several places at once.
type tarMembers struct {
	r    io.ReaderAt
	at   map[string]extent
	link links
}

type extent struct{ offset, size int64 }

// Open reads the headers of an uncompressed tar archive of the given size, and
// passes over what is between them. r stays the caller's.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	m := &tarMembers{r: r, at: make(map[string]extent), link: make(links)}
	var n counter
	section := io.NewSectionReader(r, 0, size)
	headers := tar.NewReader(section)
	for {
		h, err := headers.Next()
		if err == io.EOF && n.members == 0 {
			return nil, errEmpty
		}
		if err == io.EOF {
			return newReader(m), nil
		}
		if err == nil {
			err = n.count(h)
		}
		if err == nil {
			err = m.add(h, section)
		}
		if err != nil {
			return nil, unreadable(err, n)
		}
	}
}

// unreadable says what is wrong with an archive of which some members have been
// read.
func unreadable(err error, n counter) error {
	switch {
	case n.members == 0 && (errors.Is(err, tar.ErrHeader) || err == io.ErrUnexpectedEOF):
		return errors.New("it is not a tar archive, plain or compressed with gzip or zstd")
	case err == io.ErrUnexpectedEOF:
		return fmt.Errorf("the archive is cut off after %d members: %w", n.members, err)
	}
	return err
}

// add notes a member. Of two with one name the later counts, as when one is
// appended.
func (m *tarMembers) add(h *tar.Header, r io.Seeker) error {
	name := clean(h.Name)
	if len(name) > maxName {
		return nil
	}
	delete(m.at, name)
	delete(m.link, name)
	switch h.Typeflag {
	case tar.TypeReg:
		if isSparse(h) {
			return ErrSparse
		}
		offset, err := r.Seek(0, io.SeekCurrent)
		m.at[name] = extent{offset, h.Size}
		return err
	case tar.TypeGNUSparse:
		return ErrSparse
	}
	m.link.add(name, h)
	return nil
}

// isSparse tells whether a member has holes: then its content is not what stands
// behind the header (tar(5), "PAX sparse").
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

func (m *tarMembers) extent(name string) (extent, error) {
	name, err := m.link.follow(name)
	if err != nil {
		return extent{}, err
	}
	e, ok := m.at[name]
	if !ok {
		return e, fs.ErrNotExist
	}
	return e, nil
}

func (m *tarMembers) open(name string) (io.ReadCloser, int64, error) {
	e, err := m.extent(name)
	if err != nil {
		return nil, 0, err
	}
	return io.NopCloser(io.NewSectionReader(m.r, e.offset, e.size)), e.size, nil
}

func (m *tarMembers) layer(name string, diffID oci.Digest) (oci.Descriptor, error) {
	return describe(m, name, diffID)
}

func (m *tarMembers) check(oci.Descriptor, oci.Digest) error { return nil }

func (m *tarMembers) Close() error { return nil }

// describe describes the layer that a member holds. The digest of one that is
// compressed is not known before it has been read.
func describe(m members, name string, diffID oci.Digest) (oci.Descriptor, error) {
	f, size, err := m.open(name)
	if err != nil {
		return oci.Descriptor{}, err
	}
	defer f.Close()
	head, err := readHead(f)
	if err != nil {
		return oci.Descriptor{}, err
	}
	mediaType, isLayer := layerType(head)
	if mediaType == oci.MediaTypeLayer || !isLayer {
		return oci.Descriptor{MediaType: oci.MediaTypeLayer, Digest: diffID, Size: size}, nil
	}
	sum := sha256.New()
	sum.Write(head)
	if _, err := io.Copy(sum, f); err != nil {
		return oci.Descriptor{}, err
	}
	return oci.Descriptor{MediaType: mediaType, Digest: oci.FromSum(sum.Sum(nil)), Size: size}, nil
}

// counter bounds what is kept of an archive.
type counter struct{ members, bytes int }

func (c *counter) count(h *tar.Header) error {
	c.members++
	if len(h.Name) <= maxName {
		c.bytes += len(h.Name) + len(h.Linkname)
	}
	switch {
	case c.members > maxMembers:
		return fmt.Errorf("more than the %d members allowed", maxMembers)
	case c.bytes > maxNameBytes:
		return fmt.Errorf("the names of its members have more than the %d bytes allowed", maxNameBytes)
	}
	return nil
}

// links are the members that are other members: docker save has long written a
// layer that two images share as a symbolic link.
type links map[string]string

func (l links) add(name string, h *tar.Header) {
	if len(h.Linkname) > maxName {
		return
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		l[name] = path.Join(path.Dir(name), h.Linkname)
	case tar.TypeLink:
		l[name] = clean(h.Linkname)
	}
}

func (l links) follow(name string) (string, error) {
	for range maxLinks {
		target, ok := l[name]
		if !ok {
			return name, nil
		}
		name = target
	}
	return "", errors.New("links lead from one to the next")
}
