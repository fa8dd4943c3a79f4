// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"strata/internal/container"
	"strata/internal/durable"
	"strata/internal/linux"
)

// tree is a container's stack and upperdir, open for looking at. The container
// may be running, and it and its layers may be removed meanwhile: what is held
// stays until close.
type tree struct {
	record container.Record
	lower  lowers
	upper  *os.File
}

// openTree opens the container called name as it is between two commits. The
// caller closes it.
func (e *Engine) openTree(name string) (*tree, error) {
	for {
		t, err := e.tryTree(name)
		if t != nil || err != nil {
			return t, err
		}
		if err := e.awaitSeal(name); err != nil {
			return nil, err
		}
	}
}

// tryTree returns nil for a container whose upperdir is becoming a layer. It
// looks at the record before and after: the two belong together if it is the
// same.
func (e *Engine) tryTree(name string) (*tree, error) {
	entry, err := e.containers.Entry(name)
	if err != nil || entry.Record.Sealing != "" {
		return nil, err
	}
	upper, err := linux.OpenDir(filepath.Join(entry.Path, container.UpperName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lower, err := e.openLowers(&entry.Record)
	if err != nil {
		return nil, errors.Join(err, upper.Close())
	}
	t := &tree{record: entry.Record, lower: lower, upper: upper}
	if err := t.hold(); err != nil {
		return nil, errors.Join(err, t.close())
	}
	after, err := e.containers.Entry(entry.Record.ID)
	if err != nil || after.Record.Sealing != "" || !slices.Equal(after.Record.Layers, entry.Record.Layers) {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// hold shares the lock of each directory. Then store.Reap deletes none of them,
// if what refers to them is there afterwards.
func (t *tree) hold() error {
	held := []*os.File{t.upper}
	if t.record.Rootfs == "" {
		held = append(held, t.lower...)
	}
	for _, dir := range held {
		if _, err := durable.Share(dir); err != nil { // the lock is the open file's
			return err
		}
	}
	return nil
}

// awaitSeal waits for the end of a commit, and settles what one that was
// interrupted has left.
func (e *Engine) awaitSeal(name string) error {
	c, err := e.containers.WaitLock(name)
	if err != nil {
		return err
	}
	err = e.settle(c)
	if err == nil {
		var upper *os.File
		if upper, err = c.OpenUpper(); err == nil {
			upper.Close()
		}
	}
	return errors.Join(err, c.Close())
}

func (t *tree) close() error { return errors.Join(t.lower.close(), t.upper.Close()) }
