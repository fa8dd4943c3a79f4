// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/oci"
)

// Collected says what Collect moved to the trash.
type Collected struct {
	Layers  []oci.Digest
	Bytes   int64 // of the regular files in those layers
	Staging int   // directories of makers that died
}

// Collect moves to the trash the layers that nothing refers to, and the staging
// directories whose makers are gone. inUse returns the layers that images and
// containers refer to; it is called once, with the store's lock held exclusive,
// and if it fails nothing is collected. One layer that cannot be moved does not
// stop the others: the error joins one cause for each. A caller who shares the
// lock himself waits for ever.
func (s *Store) Collect(ctx context.Context, inUse func() (map[oci.Digest]bool, error)) (Collected, error) {
	lock, err := s.Exclusive()
	if err != nil {
		return Collected{}, err
	}
	defer lock.Close()
	used, err := inUse()
	if err != nil {
		return Collected{}, fmt.Errorf("collect: find layers in use: %w", err)
	}
	var c Collected
	kept, err := s.collectStaging(&c)
	if err != nil {
		return c, fmt.Errorf("collect: %w", err) // the layers that live makers keep are not known
	}
	err = s.collectLayers(ctx, func(id oci.Digest) bool { return used[id] || kept[id] }, &c)
	if err := errors.Join(err, s.sync(layerDir, trashDir)); err != nil {
		return c, fmt.Errorf("collect: %w", err)
	}
	return c, nil
}

// collectStaging moves the directories of dead makers to the trash, and returns
// the layers that the live ones keep.
func (s *Store) collectStaging(c *Collected) (kept map[oci.Digest]bool, err error) {
	entries, err := s.list(stagingDir)
	if err != nil {
		return nil, err
	}
	kept = make(map[oci.Digest]bool)
	for _, e := range entries {
		dead, err := s.collectMaker(stagingDir+"/"+e.Name, kept)
		if err != nil {
			return nil, err
		}
		if dead {
			c.Staging++
		}
	}
	return kept, nil
}

// collectMaker looks at one staging directory. Nobody makes one meanwhile: that
// takes the lock that is held exclusive here.
func (s *Store) collectMaker(name string, kept map[oci.Digest]bool) (dead bool, err error) {
	dir, err := s.open(name, unix.O_DIRECTORY)
	if errors.Is(err, os.ErrNotExist) { // closed since
		return false, nil
	}
	if err != nil {
		return false, err
	}
	lock, err := durable.TryExclusive(dir)
	if err == nil {
		defer lock.Close()
		return true, ignoreNotExist(s.Trash(s.root, name))
	}
	defer dir.Close()
	if !errors.Is(err, durable.ErrLocked) {
		return false, err
	}
	return false, keeps(dir, kept)
}

// keeps adds the layers that the live maker of dir keeps.
func keeps(dir *os.File, kept map[oci.Digest]bool) error {
	entries, err := linux.ReadDir(int(dir.Fd()))
	if err != nil {
		return &os.PathError{Op: "read", Path: dir.Name(), Err: err}
	}
	for _, e := range entries {
		if hex, ok := strings.CutPrefix(e.Name, keepPrefix); ok {
			kept[oci.Digest("sha256:"+hex)] = true
		}
	}
	return nil
}

func (s *Store) collectLayers(ctx context.Context, keep func(oci.Digest) bool, c *Collected) error {
	ids, err := s.layerIDs()
	errs := []error{err}
	for _, id := range ids {
		if keep(id) {
			continue
		}
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		l, _ := s.Layer(id) // only for its size: one without a readable record is garbage all the more
		if err := s.Trash(s.root, pathOf(id)); err != nil {
			errs = append(errs, err)
			continue
		}
		c.Layers = append(c.Layers, id)
		c.Bytes += l.ContentSize
	}
	return errors.Join(errs...)
}

// sync puts the entries of directories on disk: a reaper must not be quicker
// than the rename that made something garbage.
func (s *Store) sync(names ...string) error {
	for _, name := range names {
		dir, err := s.open(name, unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		if err := errors.Join(durable.Sync(dir), dir.Close()); err != nil {
			return err
		}
	}
	return nil
}

func ignoreNotExist(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
