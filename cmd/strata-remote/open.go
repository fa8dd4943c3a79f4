// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
)

// open opens a file that is there. One that is a pipe waits for its other end, or
// for ctx. The error is without the path.
func open(ctx context.Context, path string, flags int) (*os.File, error) {
	var f *os.File
	opened := make(chan error, 1)
	go func() {
		var err error
		f, err = os.OpenFile(path, flags, 0)
		opened <- err
	}()
	select {
	case err := <-opened:
		var p *os.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return f, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
