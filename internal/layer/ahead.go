// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
)

const (
	chunkSize  = 256 << 10
	chunkCount = 4 // buffers of a pipeline: one on each side and two on the way
)

// ahead reads, counts and hashes a stream on a goroutine of its own, a few
// chunks before the consumer asks for them, so that hashing and whatever the
// stream comes through (decompression) overlap with the work on the entries.
type ahead struct {
	full    chan []byte
	free    chan []byte
	stop    chan struct{}
	chunk   []byte // what is left of the chunk being consumed
	backing []byte // its buffer, to hand back

	// The goroutine's until full is closed.
	sum  hash.Hash
	size int64
	err  error
}

// readAhead starts reading r, at most limit bytes. The caller closes it.
func readAhead(ctx context.Context, r io.Reader, limit int64) *ahead {
	a := &ahead{
		full: make(chan []byte, chunkCount), free: make(chan []byte, chunkCount),
		stop: make(chan struct{}), sum: sha256.New(),
	}
	for range chunkCount {
		a.free <- nil // allocated when first used
	}
	go a.run(ctx, r, limit)
	return a
}

func (a *ahead) run(ctx context.Context, r io.Reader, limit int64) {
	defer close(a.full)
	for a.err == nil {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.stop:
			return
		}
		if buf == nil {
			buf = make([]byte, chunkSize)
		}
		n := a.fill(ctx, r, buf[:chunkSize])
		a.size += int64(n)
		if err := over("bytes in the archive", a.size, limit); err != nil {
			a.err = err
			return
		}
		a.sum.Write(buf[:n])
		a.full <- buf[:n] // never blocks: there are as many places as buffers
	}
}

// fill reads until buf is full or the stream ends, which a.err then says.
func (a *ahead) fill(ctx context.Context, r io.Reader, buf []byte) (n int) {
	for n < len(buf) && a.err == nil {
		select {
		case <-a.stop:
			a.err = io.ErrClosedPipe
		case <-ctx.Done():
			a.err = ctx.Err()
		default:
			var m int
			m, a.err = r.Read(buf[n:])
			n += m
		}
	}
	return n
}

func (a *ahead) Read(p []byte) (int, error) {
	for len(a.chunk) == 0 {
		if a.backing != nil {
			a.free <- a.backing
			a.backing = nil
		}
		chunk, ok := <-a.full
		if !ok {
			return 0, a.err
		}
		a.chunk, a.backing = chunk, chunk
	}
	n := copy(p, a.chunk)
	a.chunk = a.chunk[n:]
	return n, nil
}

// Close ends the goroutine; it waits for a Read of the stream that is under way.
func (a *ahead) Close() {
	close(a.stop)
	for range a.full {
	}
}
