// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/layer"
	"strata/internal/oci"
)

// SealOptions say how an upperdir becomes a layer.
type SealOptions struct {
	Epoch *time.Time // times after it are clamped to it in the archive (SOURCE_DATE_EPOCH)
	Root  bool       // the archive gets an entry for the root directory too

	// Ready is called, if it is set, when the layer is known and on disk but the
	// upperdir is still in its place. The caller records what he is about to
	// lose: that the layer goes on top of his stack. An error leaves everything
	// as it was. Killed after Ready, he finds either the upperdir in its place,
	// or the layer in the store, or both with the same content.
	Ready func(Layer) error
}

// Seal makes a layer of the upperdir called name in from by renaming it into the
// store: no data is copied and nothing compressed, the archive is only hashed.
// If the store has a layer of that archive already, the upperdir goes to the
// trash. Nothing may have the upperdir mounted, and it must be normalised
// (overlay.Normalise). The caller holds the store's shared lock until what refers
// to the layer is on disk. from is open for reading.
func (s *Store) Seal(ctx context.Context, from *os.File, name string, opts SealOptions) (l Layer, err error) {
	fail := func(err error) (Layer, error) {
		return Layer{}, fmt.Errorf("seal %s/%s: %w", from.Name(), name, err)
	}
	st, err := s.Stage()
	if err != nil {
		return fail(err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	dir, err := st.newLayer()
	if err != nil {
		return fail(err)
	}
	lock, err := durable.Exclusive(dir) // it goes with the directory when that is renamed: see settle
	if err != nil {
		return fail(errors.Join(err, dir.Close()))
	}
	defer lock.Close()
	if l, err = s.describe(ctx, dir, from, name, opts); err != nil {
		return fail(err)
	}
	if opts.Ready != nil {
		if err := opts.Ready(l); err != nil {
			return fail(err)
		}
	}
	if err := s.moveIn(st, dir, from, name, l.DiffID); err != nil {
		return fail(err)
	}
	return l, nil
}

// describe writes what goes with the upperdir into the staged layer and puts
// both on disk.
func (s *Store) describe(ctx context.Context, dir, from *os.File, name string, opts SealOptions) (Layer, error) {
	upper, err := openIn(from, name, unix.O_DIRECTORY)
	if err != nil {
		return Layer{}, err
	}
	defer upper.Close()
	early := make(chan error, 1)
	go func() { early <- durable.SyncFS(upper) }() // while the archive is hashed: most of the writing is the upperdir's
	var info layer.Info
	err = withRecord(dir, func(record io.Writer) (err error) {
		info, err = layer.Write(ctx, upper, io.Discard, record, layer.WriteOptions{Marks: s.opts.Marks, Epoch: opts.Epoch, Root: opts.Root})
		return err
	})
	if err := errors.Join(err, <-early); err != nil {
		return Layer{}, err
	}
	l, err := writeRecord(dir, info)
	if err != nil {
		return Layer{}, err
	}
	return l, durable.SyncFS(dir)
}

// moveIn publishes the staged directory, which is no layer before it has a tree,
// and then moves the upperdir in as that. Between the two only the flock on the
// directory tells others to wait, and in the other order a kill would leave the
// upperdir in a staging directory, as rubbish.
func (s *Store) moveIn(st *Staging, dir, from *os.File, name string, id oci.Digest) error {
	layers, err := s.open(layerDir, unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer layers.Close()
	first, err := s.publish(st.dir(), base(dir), layers, id)
	if err != nil {
		return err
	}
	if !first {
		return errors.Join(s.Trash(from, name), durable.Sync(from))
	}
	if err := durable.Sync(layers); err != nil {
		return err
	}
	return durable.PublishDir(from, name, dir, treeName)
}
