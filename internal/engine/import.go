// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"io"
	"runtime"
	"time"

	"strata/internal/image"
	"strata/internal/layer"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/store"
)

// ImportOptions say what to make of a root filesystem.
type ImportOptions struct {
	Name    string   // of the image; "" for none
	Changes []string // Dockerfile instructions
	Message string
	Source  string // as the history shows it
	// LeftOut, when not nil, is called with each device that is left out, as all
	// are in a user namespace.
	LeftOut func(path string)
}

// Import makes an image of one layer from an uncompressed archive of a root
// filesystem.
func (e *Engine) Import(ctx context.Context, archive io.Reader, o ImportOptions) (image.Image, error) {
	config, err := newConfig(o.Changes)
	if err != nil {
		return image.Image{}, err
	}
	ref, err := parseName(o.Name)
	if err != nil {
		return image.Image{}, err
	}
	staging, err := e.store.Stage()
	if err != nil {
		return image.Image{}, err
	}
	l, err := staging.Apply(ctx, archive, store.ApplyOptions{LeftOut: o.LeftOut})
	if err == nil && l.ArchiveSize == 0 {
		err = errors.New("the archive is empty: not one byte") // whatever should have written it failed
	}
	if err != nil {
		return image.Image{}, errors.Join(e.spaceHint(err), staging.Close())
	}
	var img image.Image
	err = e.shared(func() error {
		if err := staging.Complete([]oci.Digest{l.DiffID}); err != nil {
			return err
		}
		if err := staging.Publish(); err != nil {
			return err
		}
		step := oci.History{Created: config.Created, CreatedBy: "import " + o.Source, Comment: o.Message}
		img, err = e.addImage(config.Append(l.DiffID, step), []oci.Descriptor{l.Descriptor()}, ref)
		return err
	})
	return img, errors.Join(e.spaceHint(err), staging.Close())
}

// ImportDir is Import of the directory at path, which is only read.
func (e *Engine) ImportDir(ctx context.Context, path string, o ImportOptions) (img image.Image, err error) {
	dir, err := linux.OpenDir(path)
	if err != nil {
		return img, err
	}
	defer dir.Close()
	err = pipe(
		func(w io.Writer) error {
			_, err := layer.Write(ctx, dir, w, nil, layer.WriteOptions{Marks: e.marks, Root: true})
			return err
		},
		func(r io.Reader) error { img, err = e.Import(ctx, r, o); return err },
	)
	return img, err
}

// pipe runs write beside read and joins them. The end that fails first ends
// the other, and its error is the one returned.
func pipe(write func(io.Writer) error, read func(io.Reader) error) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := write(w)
		w.CloseWithError(err)
		written <- err
	}()
	err := read(r)
	r.CloseWithError(err)
	if cause := <-written; cause != nil && !errors.Is(cause, io.ErrClosedPipe) && (err == nil || errors.Is(err, cause)) {
		return cause
	}
	return err
}

func parseName(name string) (oci.Reference, error) {
	if name == "" {
		return oci.Reference{}, nil
	}
	ref, err := oci.ParseReference(name)
	if err == nil && ref.Digest != "" {
		err = errors.New("image name " + name + ": a name with a digest cannot be given to an image")
	}
	return ref.WithDefaultTag(), err
}

// newConfig is the config of an image made here.
func newConfig(changes []string) (oci.ImageConfig, error) {
	created, err := epoch()
	if err != nil {
		return oci.ImageConfig{}, err
	}
	if created == nil {
		now := time.Now().UTC()
		created = &now
	}
	config := oci.ImageConfig{
		Created:  created,
		Platform: oci.Platform{Architecture: runtime.GOARCH, OS: "linux"},
		RootFS:   oci.RootFS{Type: "layers"},
	}
	return config.With(changes...)
}

// addImage stores an image and names it. The caller holds the shared lock.
func (e *Engine) addImage(config oci.ImageConfig, layers []oci.Descriptor, ref oci.Reference) (image.Image, error) {
	img, err := e.images.Add(config, layers)
	if err != nil || ref.Repository == "" {
		return img, err
	}
	return img, e.images.Tag(img, ref)
}
