// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"io"
	"sync/atomic"
)

// behind hands what is written to it to another writer on a goroutine of its
// own, so that hashing or compressing overlaps with reading files.
type behind struct {
	dst  io.Writer
	size int // of a chunk
	cur  []byte
	full chan []byte
	free chan []byte
	done chan struct{}
	err  atomic.Pointer[error] // the first one of dst
}

// writeBehind starts a goroutine that Close ends.
func writeBehind(dst io.Writer, size int) *behind {
	b := &behind{
		dst: dst, size: size, done: make(chan struct{}),
		full: make(chan []byte, chunkCount), free: make(chan []byte, chunkCount),
	}
	for range chunkCount - 1 {
		b.free <- nil // allocated when first used
	}
	go b.run()
	return b
}

func (b *behind) run() {
	defer close(b.done)
	for chunk := range b.full {
		if b.err.Load() == nil {
			if _, err := b.dst.Write(chunk); err != nil {
				b.err.Store(&err)
			}
		}
		b.free <- chunk[:0] // never blocks: there are as many places as buffers
	}
}

// Write fails with the error of an earlier chunk.
func (b *behind) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		space := b.space()
		n := copy(space, rest)
		rest = rest[n:]
		if err := b.advance(n); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// space is room for at least one byte; advance says how much of it was filled.
// Together they spare a copy to whoever can produce bytes in place.
func (b *behind) space() []byte {
	if b.cur == nil {
		b.cur = make([]byte, 0, b.size)
	}
	return b.cur[len(b.cur):cap(b.cur)]
}

func (b *behind) advance(n int) error {
	b.cur = b.cur[:len(b.cur)+n]
	if len(b.cur) < cap(b.cur) {
		return nil
	}
	b.full <- b.cur
	b.cur = <-b.free
	return b.failure()
}

func (b *behind) failure() error {
	if err := b.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Close writes what is left, waits and reports the first error.
func (b *behind) Close() error {
	if len(b.cur) > 0 {
		b.full <- b.cur
	}
	close(b.full)
	<-b.done
	return b.failure()
}
