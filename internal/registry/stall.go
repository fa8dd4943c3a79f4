// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"io"
	"time"
)

// errStalled is the cause when a server has gone silent.
var errStalled = errors.New("the server has been silent for too long")

// patience is how many times the usual silence a server may take that has all
// of a blob and puts it in its place.
const patience = 5

// A watch breaks a request off when the other side is silent for too long. It
// runs only while that is whom we wait for: a slow disk here is no stall.
type watch struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

// newWatch returns a context that the watch cancels. The watch runs.
func newWatch(ctx context.Context, limit time.Duration) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{limit: limit, cancel: cancel}
	w.timer = time.AfterFunc(limit, func() { cancel(errStalled) })
	return ctx, w
}

// enoughToGoOn is how many bytes have to come within the limit: a server that
// sends one now and then is as good as silent.
const enoughToGoOn = 16 << 10

func (w *watch) start()     { w.timer.Reset(w.limit) }
func (w *watch) startLong() { w.timer.Reset(patience * w.limit) }
func (w *watch) stop()      { w.timer.Stop() }

// end releases the request's context.
func (w *watch) end() {
	w.stop()
	w.cancel(context.Canceled)
}

// outgoing is a request's body. The time that it takes to make is ours.
// A cause of ours to fail is kept apart from those of the connection.
type outgoing struct {
	io.ReadCloser
	w *watch
}

func (o *outgoing) Read(p []byte) (int, error) {
	o.w.stop()
	n, err := o.ReadCloser.Read(p)
	switch err {
	case nil:
		o.w.start()
	case io.EOF:
		o.w.startLong()
	default:
		err = &bodyError{err}
	}
	return n, err
}

// incoming is an answer's body. Closing it ends the request.
type incoming struct {
	io.ReadCloser
	ctx    context.Context
	w      *watch
	waited time.Duration // since there was enough
	n      int           // bytes since then
}

func (i *incoming) Read(p []byte) (int, error) {
	began := time.Now()
	i.w.timer.Reset(max(0, i.w.limit-i.waited))
	n, err := i.ReadCloser.Read(p)
	i.w.stop()
	i.waited += time.Since(began)
	if i.n += n; i.n >= enoughToGoOn {
		i.n, i.waited = 0, 0
	}
	if err == nil {
		err = cause(i.ctx, nil)
	}
	if err != nil && err != io.EOF {
		err = cause(i.ctx, err)
	}
	return n, err
}

func (i *incoming) Close() error {
	err := i.ReadCloser.Close()
	i.w.end()
	return err
}
