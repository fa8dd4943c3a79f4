// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"strata/internal/image"
	"strata/internal/oci"
	"strata/internal/store"
)

// An Outgo is images on their way out, to a registry or an archive. Until Close
// none of their layers is collected.
type Outgo struct {
	engine  *Engine
	options OutgoOptions
	staging *store.Staging

	mu   sync.Mutex
	made map[recipe]*madeBlob // guarded by mu
}

// OutgoOptions say in what form layers go out.
type OutgoOptions struct {
	// Compression is what every layer is to have; nil leaves each as its manifest
	// has it.
	Compression *oci.Compression
	// Compress compresses what is written to it and writes that to w. Equal content
	// gives equal bytes. What it needs for that is not linked into every program.
	Compress func(w io.Writer, c oci.Compression) (io.WriteCloser, error)
}

// NewOutgo begins to send images out. The caller closes it.
func (e *Engine) NewOutgo(o OutgoOptions) (*Outgo, error) {
	staging, err := e.store.Stage()
	if err != nil {
		return nil, err
	}
	return &Outgo{engine: e, options: o, staging: staging, made: make(map[recipe]*madeBlob)}, nil
}

// Close removes what was compressed, and lets layers be collected again.
func (out *Outgo) Close() error { return out.staging.Close() }

// An OutImage is one image on its way out. Its methods may be called from several
// goroutines.
type OutImage struct {
	image.Image
	ConfigBytes []byte // the config's document as it is in the store

	out      *Outgo
	document []byte // the manifest as it is in the store
	manifest oci.Manifest
	layers   []outLayer
	toOCI    bool // Docker's manifest has no words for what goes out
}

// outLayer is how one layer goes out.
type outLayer struct {
	recipe
	descriptor oci.Descriptor // the manifest's
	unchanged  bool           // the blob is what that says
	kept       bool           // it is the one that came; otherwise it is the archive
	size       int64          // of the archive
}

// A recipe is what a blob is made of.
type recipe struct {
	diffID      oci.Digest
	compression oci.Compression
}

// Image finds an image by name or ID and decides how its layers go out.
func (out *Outgo) Image(name string) (*OutImage, error) {
	img := &OutImage{out: out}
	err := out.engine.shared(func() (err error) {
		if img.Image, err = out.engine.resolve(name); err != nil {
			return err
		}
		return img.plan()
	})
	return img, err
}

func (img *OutImage) plan() (err error) {
	images := img.out.engine.images
	if img.document, err = images.Blob(img.Image.Manifest); err != nil {
		return err
	}
	if img.ConfigBytes, err = images.Blob(img.ID); err != nil {
		return err
	}
	if img.manifest, _, err = image.Parse(img.document, img.ConfigBytes); err != nil {
		return err
	}
	for i, d := range img.manifest.Layers {
		l, err := img.out.plan(img.Image.Layers[i], d)
		if err != nil {
			return err
		}
		img.layers = append(img.layers, l)
		img.toOCI = img.toOCI || l.compression == oci.Zstd && !l.unchanged && isDocker(img.manifest.MediaType)
	}
	return nil
}

// plan decides how a layer goes out, and keeps it from being collected.
func (out *Outgo) plan(id oci.Digest, d oci.Descriptor) (outLayer, error) {
	stored, err := out.staging.Keep(id)
	if err != nil {
		return outLayer{}, err
	}
	have, err := d.Compression()
	if err != nil {
		return outLayer{}, err
	}
	l := outLayer{recipe: recipe{id, have}, descriptor: d, size: stored.ArchiveSize}
	asked := out.options.Compression
	if asked != nil {
		l.compression = *asked
	}
	switch {
	case d.Digest == id: // uncompressed, even if the manifest says otherwise
		if asked == nil {
			l.compression = oci.Uncompressed
		}
		l.unchanged = asked == nil || have == *asked && have == oci.Uncompressed
		return l, nil
	case have != l.compression:
		return l, nil
	}
	blob, err := out.engine.store.Blob(id, d.Digest)
	if errors.Is(err, os.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	l.kept, l.unchanged = true, true
	return l, blob.Close()
}

// Lost is the descriptor of layer i if the blob that the manifest names is not
// here and would have to be made anew, with another digest.
func (img *OutImage) Lost(i int) (d oci.Descriptor, lost bool) {
	l := img.layers[i]
	have, err := l.descriptor.Compression()
	return l.descriptor, err == nil && have == l.compression && !l.unchanged
}

// Leave says that the blob of layer i is where the image goes, so that nothing is
// made and the manifest stays as it is. It is called before Layer.
func (img *OutImage) Leave(i int) { img.layers[i].unchanged = true }

// Descriptors are those of the layers as they go out, oldest first. A digest is
// "" where Layer has to be asked for it, because the layer is compressed first.
func (img *OutImage) Descriptors() []oci.Descriptor {
	all := make([]oci.Descriptor, len(img.layers))
	for i, l := range img.layers {
		all[i], _ = img.known(l)
	}
	return all
}

// known is the descriptor of a layer that is not to be compressed.
func (img *OutImage) known(l outLayer) (oci.Descriptor, bool) {
	d := l.descriptor
	if !l.unchanged {
		d = oci.Descriptor{MediaType: img.mediaType(l.compression)}
		if l.compression == oci.Uncompressed {
			d.Digest, d.Size = l.diffID, l.size
		}
	} else if img.toOCI {
		d.MediaType = ociLayer(l.compression)
	}
	return d, d.Digest != ""
}

// Layer makes the blob of layer i ready, which may mean to compress it, and
// describes it.
func (img *OutImage) Layer(ctx context.Context, i int) (oci.Descriptor, error) {
	l := img.layers[i]
	d, ok := img.known(l)
	if ok {
		return d, nil
	}
	made, err := img.out.make(ctx, l.recipe)
	if err != nil {
		return d, err
	}
	d.Digest, d.Size = made.digest, made.size
	return d, nil
}

// WriteLayer writes the blob of layer i. Bytes that do not have their digest any
// more are an error, but they are written by then.
func (img *OutImage) WriteLayer(ctx context.Context, i int, w io.Writer) error {
	l, s := img.layers[i], img.out.engine.store
	switch {
	case l.kept:
		f, err := s.Blob(l.diffID, l.descriptor.Digest)
		if err != nil {
			return fmt.Errorf("layer %s: %w", l.diffID, err)
		}
		defer f.Close()
		return copyBlob(ctx, w, f, l.descriptor.Digest)
	case l.compression == oci.Uncompressed:
		return s.Archive(ctx, l.diffID, w)
	}
	made, err := img.out.make(ctx, l.recipe)
	if err != nil {
		return err
	}
	f, err := made.open()
	if err != nil {
		return err
	}
	defer f.Close()
	return copyBlob(ctx, w, f, made.digest)
}

// copyBlob writes a blob to w and compares its digest.
func copyBlob(ctx context.Context, w io.Writer, f *os.File, want oci.Digest) error {
	sum := sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(w, sum), contextReader{ctx, f}, make([]byte, 256<<10)); err != nil {
		return err
	}
	if got := oci.FromSum(sum.Sum(nil)); got != want {
		return fmt.Errorf("blob %s: %s has changed: its digest is now %s", want, f.Name(), got)
	}
	return nil
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// SourceDate is the time that what is written has in place of its own, from
// SOURCE_DATE_EPOCH, or nil.
func SourceDate() (*time.Time, error) { return epoch() }
