// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
)

// A behind writes to a file in a goroutine of its own, so that making the next
// bytes does not wait for it, and so that a write to a pipe that nobody reads ends
// with ctx. That write itself cannot be ended; the process does.
type behind struct {
	ctx        context.Context
	full, free chan []byte
	done       chan struct{} // closed when nothing is written any more
	err        error         // read once done is closed
	buffer     []byte
}

const (
	behindBuffers = 4
	behindSize    = 1 << 20 // bytes of each
)

// writeBehind gives f a writer to w. What f has written is in w when it returns nil.
func writeBehind(ctx context.Context, w io.Writer, f func(io.Writer) error) error {
	b := &behind{ctx: ctx, full: make(chan []byte), free: make(chan []byte, behindBuffers), done: make(chan struct{})}
	for range behindBuffers - 1 {
		b.free <- make([]byte, 0, behindSize)
	}
	b.buffer = make([]byte, 0, behindSize)
	go b.run(w)
	err := f(b)
	if err == nil {
		err = b.send()
	}
	close(b.full)
	if err != nil {
		return err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *behind) run(w io.Writer) {
	defer close(b.done)
	for buffer := range b.full {
		if _, b.err = w.Write(buffer); b.err != nil {
			return
		}
		b.free <- buffer[:0]
	}
}

func (b *behind) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		room := min(cap(b.buffer)-len(b.buffer), len(p))
		b.buffer = append(b.buffer, p[:room]...)
		n, p = n+room, p[room:]
		if len(b.buffer) < cap(b.buffer) {
			continue
		}
		if err := b.send(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// send hands the buffer over and takes another.
func (b *behind) send() error {
	select {
	case b.full <- b.buffer:
	case <-b.done:
		return b.err
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
	select {
	case b.buffer = <-b.free:
		return nil
	case <-b.done:
		return b.err
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
}
