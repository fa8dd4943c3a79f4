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
	t, err := e.openTree(name)
	if err != nil {
		return err
	}
	defer t.close()
	root, err := e.mountView(t.lower, t.upper)
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
		return fmt.Errorf("export container %s: %w", t.record.DisplayName(), err)
	}
	return nil
}
