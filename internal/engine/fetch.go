// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"strata/internal/durable"
	"strata/internal/image"
	"strata/internal/oci"
)

// Fetch takes the layers of an image that are not in the store from src, several
// at once. One that another process is fetching is waited for and not fetched
// twice.
func (in *Intake) Fetch(ctx context.Context, src Source, manifest, config []byte) error {
	m, img, err := image.Parse(manifest, config)
	if err != nil {
		return err
	}
	missing, err := in.missing(m, img.Layers)
	if err != nil {
		return err
	}
	busy, err := in.fetchFree(ctx, src, missing)
	for _, l := range busy {
		if err == nil {
			err = in.fetchBusy(ctx, src, l)
		}
	}
	return err
}

// fetched is a layer to be fetched.
type fetched struct {
	blob   oci.Descriptor
	diffID oci.Digest
}

// missing lists the layers that are not here, each once, and keeps the others
// from being collected.
func (in *Intake) missing(m oci.Manifest, diffIDs []oci.Digest) (missing []fetched, err error) {
	seen := make(map[oci.Digest]bool)
	for i, id := range diffIDs {
		if _, err := m.Layers[i].Compression(); err != nil {
			return nil, fmt.Errorf("layer %s: %w", m.Layers[i].Digest, err)
		}
		if seen[id] || in.isTaken(m.Layers[i].Digest) {
			continue
		}
		seen[id] = true
		l := fetched{m.Layers[i], id}
		here, err := in.keep(l)
		if err != nil {
			return nil, err
		}
		if !here {
			missing = append(missing, l)
		}
	}
	return missing, nil
}

func (in *Intake) isTaken(blob oci.Digest) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	_, ok := in.taken[blob]
	return ok
}

// Here tells whether a layer is in the store, where it then stays until Close.
func (in *Intake) Here(blob oci.Descriptor, diffID oci.Digest) (bool, error) {
	return in.keep(fetched{blob, diffID})
}

// keep keeps a layer that is here from being collected before Close.
func (in *Intake) keep(l fetched) (here bool, err error) {
	err = in.engine.shared(func() error {
		_, err := in.staging.Keep(l.diffID)
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		in.options.Progress(LayerProgress{l.blob, l.diffID, LayerHere, l.blob.Size})
	}
	return err == nil, err
}

// fetchFree fetches side by side the layers that nobody else is fetching, and
// publishes them, so that who waits for them can go on. It returns the others.
func (in *Intake) fetchFree(ctx context.Context, src Source, layers []fetched) (busy []fetched, err error) {
	var locks fetchLocks
	defer func() { err = errors.Join(err, locks.Close()) }()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(in.parallel())
	for _, l := range layers {
		lock, err := in.engine.store.TryFetch(l.diffID)
		if errors.Is(err, durable.ErrLocked) {
			in.options.Progress(LayerProgress{l.blob, l.diffID, LayerWaiting, 0})
			busy = append(busy, l)
			continue
		}
		if err != nil {
			return nil, errors.Join(err, g.Wait())
		}
		locks = append(locks, lock)
		g.Go(func() error { return in.fetchMissing(ctx, src, l) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return busy, in.engine.shared(in.staging.Publish)
}

func (in *Intake) parallel() int {
	if in.options.Parallel > 0 {
		return in.options.Parallel
	}
	return max(2, runtime.NumCPU())
}

// fetchBusy waits until whoever is fetching the layer is done, and fetches it if
// he has given up.
func (in *Intake) fetchBusy(ctx context.Context, src Source, l fetched) error {
	lock, err := in.waitFetch(ctx, l.diffID)
	if err != nil {
		return err
	}
	err = in.fetchMissing(ctx, src, l)
	if err == nil {
		err = in.engine.shared(in.staging.Publish)
	}
	return errors.Join(err, lock.Close())
}

// waitFetch is store.WaitFetch that gives up with ctx. The wait itself cannot be
// ended; whatever it gives then is given back.
func (in *Intake) waitFetch(ctx context.Context, id oci.Digest) (*durable.ByteLock, error) {
	type result struct {
		lock *durable.ByteLock
		err  error
	}
	done := make(chan result)
	go func() {
		lock, err := in.engine.store.WaitFetch(id)
		select {
		case done <- result{lock, err}:
		case <-ctx.Done():
			if err == nil {
				lock.Close()
			}
		}
	}()
	select {
	case r := <-done:
		return r.lock, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// fetchMissing fetches one layer, unless it has come meanwhile. The caller has
// its lock.
func (in *Intake) fetchMissing(ctx context.Context, src Source, l fetched) error {
	here, err := in.keep(l)
	if here || err != nil {
		return err
	}
	blob, err := src.Layer(ctx, l.blob)
	if err != nil {
		return err
	}
	defer closeOnce(ctx, blob.Close)()
	_, _, err = in.Apply(ctx, blob, l.blob, l.diffID)
	return err
}

// closeOnce calls close when ctx is done, to end a Read that waits, or when the
// function that it returns is called.
func closeOnce(ctx context.Context, close func() error) func() {
	once := sync.OnceFunc(func() { close() })
	stop := context.AfterFunc(ctx, once)
	return func() { stop(); once() }
}
