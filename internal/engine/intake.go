// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"strata/internal/durable"
	"strata/internal/image"
	"strata/internal/oci"
	"strata/internal/store"
)

// An Intake is images on their way in, from a registry or an archive. Layers are
// applied while they arrive; images are in the store once Add has returned. Close
// discards the rest.
type Intake struct {
	engine  *Engine
	options IntakeOptions
	staging *store.Staging

	mu    sync.Mutex
	taken map[oci.Digest]oci.Digest // from the digests of blobs to diffIDs; guarded by mu
}

// IntakeOptions say how images are taken in.
type IntakeOptions struct {
	// Decompress reads what a blob holds, and tells whether it is compressed. What
	// it needs for that is not linked into every program.
	Decompress func(io.Reader) (content io.ReadCloser, compressed bool, err error)
	// Progress, when not nil, is called while layers arrive, from several goroutines.
	Progress func(LayerProgress)
	// LeftOut, when not nil, is called with each device that is left out.
	LeftOut  func(path string)
	Parallel int // layers at once; 0 for one on each processor, and two at least
}

// A LayerState is how far a layer has come.
type LayerState int

const (
	LayerHere     LayerState = iota // nothing is fetched
	LayerWaiting                    // another process is fetching it
	LayerFetching                   // Done says how much has come
	LayerApplied
)

// LayerProgress is news of a layer.
type LayerProgress struct {
	Layer  oci.Descriptor
	DiffID oci.Digest
	State  LayerState
	Done   int64 // bytes of the blob
}

// A Source is where blobs come from.
type Source interface {
	// Layer opens the blob of a layer, which the caller closes. It is called from
	// several goroutines, once for each blob.
	Layer(ctx context.Context, d oci.Descriptor) (io.ReadCloser, error)
}

// NewIntake begins to take images in. The caller closes it.
func (e *Engine) NewIntake(o IntakeOptions) (*Intake, error) {
	staging, err := e.store.Stage()
	if err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(LayerProgress) {}
	}
	return &Intake{engine: e, options: o, staging: staging, taken: make(map[oci.Digest]oci.Digest)}, nil
}

// Close discards what was not added.
func (in *Intake) Close() error { return in.staging.Close() }

// Apply takes the blob of one layer, which d describes if its digest is known:
// then it is verified. So is the diffID, unless it is "". It returns the blob as
// it was and the layer, which Add publishes. It may be called from several
// goroutines.
func (in *Intake) Apply(ctx context.Context, blob io.Reader, d oci.Descriptor, diffID oci.Digest) (store.Layer, store.Blob, error) {
	counted := &countingReader{r: blob, report: func(n int64) {
		in.options.Progress(LayerProgress{d, diffID, LayerFetching, n})
	}}
	l, b, err := in.staging.ApplyBlob(ctx, counted, store.BlobOptions{
		ApplyOptions: store.ApplyOptions{Expect: diffID, LeftOut: in.options.LeftOut},
		Digest:       d.Digest, Size: d.Size, Decompress: in.options.Decompress,
	})
	if err != nil {
		return l, b, in.engine.spaceHint(err)
	}
	in.note(b.Digest, l.DiffID)
	in.options.Progress(LayerProgress{d, l.DiffID, LayerApplied, b.Size})
	return l, b, nil
}

func (in *Intake) note(blob, diffID oci.Digest) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.taken[blob] = diffID
}

// Add publishes the layers that were taken and stores an image of them, or of
// layers that were there, with its names. Manifest and config are kept as they
// are.
func (in *Intake) Add(manifest, config []byte, names ...oci.Reference) (img image.Image, err error) {
	m, want, err := image.Parse(manifest, config)
	if err != nil {
		return img, err
	}
	if err := in.matches(m, want.Layers); err != nil {
		return img, err
	}
	e := in.engine
	err = e.shared(func() error {
		err := in.staging.Complete(newestOnly(want.Layers))
		if err != nil && !errors.Is(err, os.ErrNotExist) { // of which more is said below
			return err
		}
		if err := in.staging.Publish(); err != nil {
			return err
		}
		for i, id := range want.Layers {
			if _, err := e.store.Layer(id); errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("layer %s is missing, whose blob is %s", id, m.Layers[i].Digest)
			} else if err != nil {
				return err
			}
		}
		img, err = e.images.Import(manifest, config, names...)
		return err
	})
	return img, e.spaceHint(err)
}

// matches compares what the manifest and the config say of the layers that were
// taken.
func (in *Intake) matches(m oci.Manifest, diffIDs []oci.Digest) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, d := range m.Layers {
		if got, ok := in.taken[d.Digest]; ok && got != diffIDs[i] {
			return fmt.Errorf("layer %s: its archive has the digest %s, the config says %s", d.Digest, got, diffIDs[i])
		}
	}
	return nil
}

// countingReader reports how many bytes have been read.
type countingReader struct {
	r      io.Reader
	n      int64
	report func(n int64)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.report(c.n)
	return n, err
}

// fetchLocks are held until the layers are published.
type fetchLocks []*durable.ByteLock

func (l fetchLocks) Close() error {
	var errs []error
	for _, lock := range l {
		errs = append(errs, lock.Close())
	}
	return errors.Join(errs...)
}
