// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"os"
	"path/filepath"

	"strata/internal/container"
	"strata/internal/linux"
)

// tree is a container's stack and upperdir, open for looking at. The container
// may be running.
type tree struct {
	record container.Record
	lower  lowers
	upper  *os.File
}

// openTree opens the container called name. The caller closes it.
func (e *Engine) openTree(name string) (*tree, error) {
	entry, err := e.containers.Entry(name)
	if err != nil {
		return nil, err
	}
	lower, err := e.openLowers(&entry.Record)
	if err != nil {
		return nil, err
	}
	upper, err := linux.OpenDir(filepath.Join(entry.Path, container.UpperName))
	if err != nil {
		return nil, errors.Join(err, lower.close())
	}
	return &tree{record: entry.Record, lower: lower, upper: upper}, nil
}

func (t *tree) close() error { return errors.Join(t.lower.close(), t.upper.Close()) }
