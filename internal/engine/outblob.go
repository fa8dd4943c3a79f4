// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"strata/internal/durable"
	"strata/internal/oci"
)

// madeBlob is a layer's archive that was compressed here, in a file that Close of
// its Outgo removes.
type madeBlob struct {
	once   sync.Once
	path   string
	digest oci.Digest
	size   int64
	err    error
}

// make compresses the archive of a layer, once however often it is asked.
func (out *Outgo) make(ctx context.Context, r recipe) (*madeBlob, error) {
	out.mu.Lock()
	b := out.made[r]
	if b == nil {
		b = &madeBlob{path: filepath.Join(out.staging.Dir().Name(), durable.RandomName())}
		out.made[r] = b
	}
	out.mu.Unlock()
	b.once.Do(func() {
		if err := b.compress(ctx, out, r); err != nil {
			b.err = fmt.Errorf("compress layer %s: %w", r.diffID, out.engine.spaceHint(err))
		}
	})
	return b, b.err
}

func (b *madeBlob) compress(ctx context.Context, out *Outgo, r recipe) (err error) {
	f, err := os.OpenFile(b.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(f, sum), 256<<10)
	z, err := out.options.Compress(buffered, r.compression)
	if err != nil {
		return err
	}
	if err := errors.Join(out.engine.store.Archive(ctx, r.diffID, z), z.Close(), buffered.Flush()); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b.digest, b.size = oci.FromSum(sum.Sum(nil)), info.Size()
	return nil
}

func (b *madeBlob) open() (*os.File, error) { return os.Open(b.path) }
