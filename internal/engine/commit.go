// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/durable"
	"strata/internal/image"
	"strata/internal/layer"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/overlay"
	"strata/internal/store"
)

// CommitOptions say what to make of a container's changes.
type CommitOptions struct {
	Name    string // of the new image; "" for none
	Author  string
	Message string
	Changes []string // Dockerfile instructions
}

// Commit makes an image of the container's stack with its changes as one more
// layer. A stopped container's upperdir becomes that layer as it is, and the
// container goes on with a new, empty one on top; a running one's is copied.
func (e *Engine) Commit(ctx context.Context, name string, o CommitOptions) (img image.Image, err error) {
	ref, err := parseName(o.Name)
	if err != nil {
		return img, err
	}
	sealOptions, err := sealing()
	if err != nil {
		return img, err
	}
	c, err := e.containers.Lock(name)
	var busy *container.BusyError
	switch {
	case errors.As(err, &busy):
		return e.commitRunning(ctx, name, ref, o, sealOptions)
	case err != nil:
		return img, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := e.committable(c); err != nil {
		return img, err
	}
	config, err := e.commitConfig(&c.Record, o)
	if err != nil {
		return img, err
	}
	r := c.Record
	sealOptions.Sealed = func(l store.Layer, b *durable.Batch) error {
		img, err = e.commitImage(b, config, l, &r, ref, o)
		return err
	}
	err = e.shared(func() error { return e.seal(ctx, c, sealOptions) })
	if err != nil {
		err = fmt.Errorf("commit container %s: %w", c.Record.DisplayName(), e.spaceHint(err))
	}
	return img, err
}

func sealing() (store.SealOptions, error) {
	epoch, err := epoch()
	return store.SealOptions{Epoch: epoch}, err
}

func (e *Engine) committable(c *container.Container) error {
	if at := mountedAt(c); at != "" {
		return fmt.Errorf("commit container %s: it is mounted at %s; unmount it first (strata umount %s)",
			c.Record.DisplayName(), at, c.Record.DisplayName())
	}
	if err := e.settle(c); err != nil {
		return err
	}
	return e.hasImage(&c.Record)
}

func (e *Engine) hasImage(r *container.Record) error {
	if r.Rootfs != "" {
		return fmt.Errorf("commit container %s: it stands on the directory %s and not on layers; import that first (strata import %s NAME)",
			r.DisplayName(), r.Rootfs, r.Rootfs)
	}
	return nil
}

// seal makes the upperdir of a locked container the newest layer of its stack,
// and then does o.Sealed. Each step can be interrupted: settle goes on from the
// record. That the record says no more of it is not put on disk: it need not be.
func (e *Engine) seal(ctx context.Context, c *container.Container, o store.SealOptions) error {
	rootChanged, err := e.normalise(&c.Record, c.UpperPath())
	if err != nil {
		return err
	}
	o.Root = rootChanged
	r := c.Record
	o.Ready = func(l store.Layer, b *durable.Batch) error {
		r.Layers = append(r.Layers[:len(r.Layers):len(r.Layers)], l.DiffID)
		r.Sealing = l.DiffID
		return c.RebaseIn(b, r)
	}
	after := o.Sealed
	o.Sealed = func(l store.Layer, b *durable.Batch) error {
		if err := after(l, b); err != nil {
			return err
		}
		b.Relax()
		r.Sealing = ""
		b.Do(c.RenewUpper, c.Dir())
		return c.RebaseIn(b, r)
	}
	_, err = e.store.Seal(ctx, c.Dir(), container.UpperName, o)
	return errors.Join(err, e.settle(c)) // settle: after an error
}

// normalise makes an upperdir what its layer is to be, and tells whether that is
// to say something of the root directory too.
func (e *Engine) normalise(r *container.Record, upperPath string) (rootHasChanged bool, err error) {
	lower, err := e.openLowers(r)
	if err != nil {
		return false, err
	}
	defer lower.close()
	upper, err := linux.OpenDir(upperPath)
	if err != nil {
		return false, err
	}
	defer upper.Close()
	if err := inheritRoot(upper, lower); err != nil {
		return false, err
	}
	if _, err := overlay.Normalise(upper, lower, e.marks); err != nil {
		return false, err
	}
	return rootChanged(upper, lower)
}

// commitConfig is the config of the image that the container was made from,
// with the container's own on it.
func (e *Engine) commitConfig(r *container.Record, o CommitOptions) (oci.ImageConfig, error) {
	base, err := e.images.Resolve(string(r.Manifest))
	if err != nil {
		return oci.ImageConfig{}, fmt.Errorf("commit container %s: read the config of its image: %w", r.DisplayName(), err)
	}
	config := base.Config
	config.Config = r.Config
	if o.Author != "" {
		config.Author = o.Author
	}
	if config, err = config.With(o.Changes...); err != nil {
		return config, err
	}
	return stackConfig(config, r), nil
}

// stackConfig gives config a history for the layers that earlier commits of
// the same container added.
func stackConfig(config oci.ImageConfig, r *container.Record) oci.ImageConfig {
	for _, id := range r.Layers[min(len(config.RootFS.DiffIDs), len(r.Layers)):] {
		config = config.Append(id, oci.History{Created: config.Created, CreatedBy: "commit"})
	}
	return config
}

// commitImage adds to the batch the image of the container's stack and the new
// layer l.
func (e *Engine) commitImage(b *durable.Batch, config oci.ImageConfig, l store.Layer, r *container.Record, ref oci.Reference, o CommitOptions) (image.Image, error) {
	created, err := e.commitTime(config, l)
	if err != nil {
		return image.Image{}, err
	}
	config.Created = created
	config = config.Append(l.DiffID, oci.History{
		Created: created, CreatedBy: strings.Join(append(r.Config.Entrypoint, r.Config.Cmd...), " "),
		Author: o.Author, Comment: o.Message,
	})
	var layers []oci.Descriptor
	for _, id := range r.Layers {
		parent, err := e.store.Layer(id)
		if err != nil {
			return image.Image{}, err
		}
		layers = append(layers, parent.Descriptor())
	}
	img, err := e.images.AddIn(b, config, append(layers, l.Descriptor()))
	if err != nil || ref.Repository == "" {
		return img, err
	}
	return img, e.images.TagIn(b, img, ref)
}

// commitTime is when the new layer was last changed, so that equal trees give
// equal images: SOURCE_DATE_EPOCH, or the newest time in the layer, or the
// parent's time if that is later.
func (e *Engine) commitTime(config oci.ImageConfig, l store.Layer) (*time.Time, error) {
	if t, err := epoch(); t != nil || err != nil {
		return t, err
	}
	newest := l.Newest
	if now := time.Now().UTC(); newest.After(now) {
		newest = now
	}
	if config.Created != nil && config.Created.After(newest) {
		newest = *config.Created
	}
	return &newest, nil
}

// commitRunning copies the upperdir of a container that is running, and seals
// the copy. What the container writes meanwhile may be in it or not.
func (e *Engine) commitRunning(ctx context.Context, name string, ref oci.Reference, o CommitOptions, seal store.SealOptions) (img image.Image, err error) {
	t, err := e.openTree(name)
	if err != nil {
		return img, err
	}
	defer t.close()
	r := t.record
	if err := e.hasImage(&r); err != nil {
		return img, err
	}
	config, err := e.commitConfig(&r, o)
	if err != nil {
		return img, err
	}
	seal.Sealed = func(l store.Layer, b *durable.Batch) error {
		img, err = e.commitImage(b, config, l, &r, ref, o)
		return err
	}
	err = e.shared(func() error { return e.sealCopy(ctx, &r, t.upper, seal) })
	if err != nil {
		err = fmt.Errorf("commit container %s: %w", r.DisplayName(), e.spaceHint(err))
	}
	return img, err
}

const copyName = "copy"

func (e *Engine) sealCopy(ctx context.Context, r *container.Record, upper *os.File, o store.SealOptions) (err error) {
	staging, err := e.store.Stage()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, staging.Close()) }()
	parent := staging.Dir()
	if err := e.copyTree(ctx, upper, parent); err != nil {
		return err
	}
	if o.Root, err = e.normalise(r, parent.Name()+"/"+copyName); err != nil {
		return err
	}
	_, err = e.store.Seal(ctx, parent, copyName, o)
	return err
}

// copyTree copies a tree in overlay form into a new directory of parent.
func (e *Engine) copyTree(ctx context.Context, from, parent *os.File) error {
	if err := unix.Mkdirat(int(parent.Fd()), copyName, 0o755); err != nil {
		return &os.PathError{Op: "mkdir", Path: copyName, Err: err}
	}
	to, err := linux.OpenDir(parent.Name() + "/" + copyName)
	if err != nil {
		return err
	}
	defer to.Close()
	return pipe(
		func(w io.Writer) error {
			_, err := layer.Write(ctx, from, w, nil, layer.WriteOptions{Marks: e.marks, Root: true})
			return err
		},
		func(archive io.Reader) error {
			_, err := layer.Apply(ctx, archive, to, nil, layer.ApplyOptions{Marks: e.marks, Unprivileged: e.ids.single(), UserNamespace: e.ids != nil})
			return err
		},
	)
}
