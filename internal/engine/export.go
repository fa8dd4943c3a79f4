// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"strata/internal/layer"
	"strata/internal/linux"
)

// Export writes the whole root filesystem of a container as one flat archive.
// The container may be running, or be removed meanwhile.
func (e *Engine) Export(ctx context.Context, name string, w io.Writer) error {
	t, err := e.openTree(name)
	if err != nil {
		return err
	}
	defer t.close()
	if err := e.exportTree(ctx, t, w); err != nil {
		return fmt.Errorf("export container %s: %w", t.record.DisplayName(), err)
	}
	return nil
}

// exportTree has a workdir of its own for those that need one: the container's
// may be in use.
func (e *Engine) exportTree(ctx context.Context, t *tree, w io.Writer) (err error) {
	var work *os.File
	if t.record.Rootfs != "" {
		staging, err := e.store.Stage()
		if err != nil {
			return e.spaceHint(err)
		}
		defer func() { err = errors.Join(err, staging.Close()) }()
		work = staging.Dir()
	}
	root, err := e.mountTree(&t.record, t.lower, t.upper, work)
	if err != nil {
		return err
	}
	defer root.Close()
	dir, err := linux.Reopen(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	_, err = layer.Write(ctx, dir, w, nil, layer.WriteOptions{Marks: e.marks, View: true, Root: true, Hollow: e.storeWithin(&t.record)})
	return err
}
