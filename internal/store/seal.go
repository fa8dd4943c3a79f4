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

	// Ready is called, if it is set, when the layer is known but the upperdir is
	// still in its place. What it adds to the batch is done once the layer is on
	// disk, and before the upperdir moves: the caller records what he is about to
	// lose, that the layer goes on top of his stack. An error leaves everything
	// as it was. Killed after that, he finds either the upperdir in its place, or
	// the layer in the store, or both with the same content.
	Ready func(Layer, *durable.Batch) error

	// Sealed is called, if it is set, after Ready. What it adds to the batch is
	// done when the layer is in the store: what refers to it. An error is as in
	// Ready.
	Sealed func(Layer, *durable.Batch) error
}

// addTo calls the function that is set.
func addTo(b *durable.Batch, f func(Layer, *durable.Batch) error, l Layer) error {
	if f == nil {
		return nil
	}
	return f(l, b)
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
	if err := s.put(st, dir, from, name, l, opts); err != nil {
		return fail(err)
	}
	return l, nil
}

// put publishes the layer l, of the staged directory dir and the upperdir,
// together with what the caller has to write before and after.
func (s *Store) put(st *Staging, dir, from *os.File, name string, l Layer, opts SealOptions) (err error) {
	layers, err := s.open(layerDir, unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer layers.Close()
	batch := durable.NewBatch(dir)
	defer func() { err = errors.Join(err, batch.Close()) }()
	if err := addTo(batch, opts.Ready, l); err != nil {
		return err
	}
	batch.Do(func() error { return s.moveIn(st, dir, layers, from, name, l.DiffID) }, layers, dir, from)
	if err := addTo(batch, opts.Sealed, l); err != nil {
		return err
	}
	return batch.Commit()
}

// describe writes what goes with the upperdir into the staged layer. Neither
// need be on disk yet.
func (s *Store) describe(ctx context.Context, dir, from *os.File, name string, opts SealOptions) (Layer, error) {
	upper, err := openIn(from, name, unix.O_DIRECTORY)
	if err != nil {
		return Layer{}, err
	}
	defer upper.Close()
	early := earlySync{fs: upper}
	var info layer.Info
	err = withRecord(dir, func(record io.Writer) (err error) {
		info, err = layer.Write(ctx, upper, &early, record, layer.WriteOptions{Marks: s.opts.Marks, Epoch: opts.Epoch, Root: opts.Root})
		return err
	})
	if err == nil && !opts.Root { // other stacks may have another root beneath the same layer
		err = implied{directories: []string{"."}}.write(dir)
	}
	if err := errors.Join(err, early.wait()); err != nil {
		return Layer{}, err
	}
	how := making{Sealed: true, OneID: s.opts.Unprivileged}
	if opts.Epoch != nil {
		seconds := opts.Epoch.Unix()
		how.Epoch = &seconds
	}
	return writeRecord(dir, info, how)
}

// earlySize is from how many bytes of archive on an upperdir is put on disk while
// it is hashed. A smaller one is written with the rest in no time, and a flush of
// its own would cost more.
const earlySize = 1 << 20

// earlySync is where the archive of an upperdir goes: nowhere. It starts a
// syncfs when the archive turns out to be large.
type earlySync struct {
	fs   *os.File
	size int
	done chan error // nil while there is no syncfs
}

func (e *earlySync) Write(p []byte) (int, error) {
	e.size += len(p)
	if e.done == nil && e.size >= earlySize {
		e.done = make(chan error, 1)
		go func() { e.done <- durable.SyncFS(e.fs) }()
	}
	return len(p), nil
}

// wait returns when the syncfs has ended, if there is one.
func (e *earlySync) wait() error {
	if e.done == nil {
		return nil
	}
	return <-e.done
}

// moveIn publishes the staged directory, which is no layer before it has a tree,
// and then moves the upperdir in as that. Between the two only the flock on the
// directory tells others to wait, and in the other order a kill would leave the
// upperdir in a staging directory, as rubbish. The parents are synced with the
// batch.
func (s *Store) moveIn(st *Staging, dir, layers, from *os.File, name string, id oci.Digest) error {
	first, err := s.publish(st.dir(), base(dir), layers, id)
	if err != nil {
		return err
	}
	if !first {
		return s.Trash(from, name)
	}
	return durable.RenameNew(from, name, dir, treeName)
}
