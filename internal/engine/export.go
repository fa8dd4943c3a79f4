// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"strata/internal/layer"
	"strata/internal/linux"
)

// Export writes the whole root filesystem of a container as one flat archive.
func (e *Engine) Export(ctx context.Context, name string, w io.Writer) error {
	entry, err := e.containers.Entry(name)
	if err != nil {
		return err
	}
	lower, err := e.openLowers(&entry.Record)
	if err != nil {
		return err
	}
	defer lower.close()
	upper, err := linux.OpenDir(entry.Path + "/upper")
	if err != nil {
		return err
	}
	defer upper.Close()
	root, err := e.mountView(lower, upper)
	if err != nil {
		return err
	}
	defer root.Close()
	dir, err := linux.Reopen(root)
	if err != nil {
		return err
	}
	_, err = layer.Write(ctx, dir, w, nil, layer.WriteOptions{Marks: e.marks, Root: true})
	if err = errors.Join(err, dir.Close()); err != nil {
		return fmt.Errorf("export container %s: %w", entry.Record.DisplayName(), err)
	}
	return nil
}
