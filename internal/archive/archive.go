// SPDX-License-Identifier: Apache-2.0

// Package archive reads and writes images as files: OCI image layouts, as a tar
// archive or a directory (image-spec, image-layout.md), and what docker save
// writes. It knows documents and blobs; what is in a layer is no business of it.
//
// An archive is hostile input. The name of a member is a key of a map and never
// a path, what is kept in memory is bounded, and every document is compared with
// the descriptor that led to it before it is parsed.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"strata/internal/oci"
)

// Names of members that tell the form of an archive.
const (
	layoutName = "oci-layout"
	indexName  = "index.json"
	dockerName = "manifest.json"
	blobDir    = "blobs/sha256/"
)

func blobName(d oci.Digest) string { return blobDir + d.Hex() }

// Annotations of descriptors in index.json. The second is containerd's, and what
// Docker writes: there the first is the tag alone.
const (
	refNameAnnotation   = "org.opencontainers.image.ref.name"
	imageNameAnnotation = "io.containerd.image.name"
)

// An Image is what an archive says of one image.
type Image struct {
	// Manifest and Config are documents as they stand in the archive. One in
	// Docker's form has no manifest: it is made, and equal archives give equal ones.
	Manifest, Config []byte
	Names            []oci.Reference // sorted; none of them has a digest
	Unusable         []string        // names that are no references
}

// A Reader is an archive whose members are known. Its methods may be called from
// several goroutines once Images has returned.
type Reader struct {
	members members
	layers  map[oci.Digest]string // members that are layers and not named as blobs are
	parsed  int64                 // bytes of documents
}

// maxParsed bounds the documents of an archive, each as often as it is referred
// to, in bytes.
const maxParsed = 64 << 20

func newReader(m members) *Reader { return &Reader{members: m, layers: make(map[oci.Digest]string)} }

// members are the files in an archive, by their cleaned names.
type members interface {
	// open opens a member. The error is fs.ErrNotExist where there is none.
	open(name string) (io.ReadCloser, int64, error)
	// layer describes a member that is a layer, whose diffID is said to be the one
	// given.
	layer(name string, diffID oci.Digest) (oci.Descriptor, error)
	// check compares a layer that has been read already with what a manifest and
	// its config say of it.
	check(d oci.Descriptor, diffID oci.Digest) error
	io.Closer
}

// Close closes what the reader has opened.
func (r *Reader) Close() error { return r.members.Close() }

// Layer opens the blob of a layer. What is read from it is compared with
// nothing but the size.
func (r *Reader) Layer(_ context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	name, ok := r.layers[d.Digest]
	if !ok {
		name = blobName(d.Digest)
	}
	blob, size, err := r.members.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = errMissing
	}
	if err == nil && size != d.Size {
		err = errors.Join(fmt.Errorf("it has %d bytes, the manifest says %d", size, d.Size), blob.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", d.Digest, err)
	}
	return blob, nil
}

var errMissing = errors.New("it is not in the archive")

// document reads a member that is held in memory.
func (r *Reader) document(name string) ([]byte, error) {
	f, size, err := r.members.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > oci.MaxDocument {
		return nil, fmt.Errorf("%d bytes, more than the %d allowed", size, oci.MaxDocument)
	}
	if r.parsed += size; r.parsed > maxParsed {
		return nil, fmt.Errorf("the documents have more than the %d bytes allowed", maxParsed)
	}
	data, err := io.ReadAll(io.LimitReader(f, size+1))
	if err == nil && int64(len(data)) != size {
		err = fmt.Errorf("%d bytes in place of %d", len(data), size)
	}
	return data, err
}

// blob reads a document and compares it with its descriptor, the size first.
func (r *Reader) blob(d oci.Descriptor) ([]byte, error) {
	data, err := r.document(blobName(d.Digest))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("blob %s: %w", d.Digest, errMissing)
	case err != nil:
		return nil, fmt.Errorf("blob %s: %w", d.Digest, err)
	case int64(len(data)) != d.Size:
		return nil, fmt.Errorf("blob %s: %d bytes, its descriptor says %d", d.Digest, len(data), d.Size)
	}
	if got := oci.FromBytes(data); got != d.Digest {
		return nil, fmt.Errorf("blob %s: its content has the digest %s", d.Digest, got)
	}
	return data, nil
}

// Images lists the images of an archive; of those that are there for several
// platforms, the one that is wanted. OCI's layout counts where both are there.
func (r *Reader) Images(want oci.Platform) ([]Image, error) {
	layout, err := r.document(layoutName)
	if err == nil {
		index, err := r.document(indexName)
		if err == nil {
			return r.layoutImages(layout, index, want)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", indexName, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", layoutName, err)
	}
	list, err := r.document(dockerName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoImages
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dockerName, err)
	}
	return r.dockerImages(list)
}

var errEmpty = errors.New("there are no images in it: it is empty")

var errNoImages = errors.New("there are no images in it: neither oci-layout with index.json nor manifest.json (strata import makes an image of a root filesystem)")
