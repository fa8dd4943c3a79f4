// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/oci"
	"strata/internal/store"
)

// Garbage is what a collection found.
type Garbage struct {
	Layers     []oci.Digest
	Bytes      int64 // of the regular files in those layers
	Blobs      int
	Containers int // that were never finished, or whose process is gone
	Staging    int // left behind by commands that were interrupted
}

// Collect moves what nothing refers to into the trash: a few renames. It waits
// for commands that are adding a reference.
func (e *Engine) Collect() (Garbage, error) { return e.collectBut(nil) }

// collectBut is Collect that leaves the images with these manifests, whether they
// have names or not.
func (e *Engine) collectBut(kept []oci.Digest) (g Garbage, err error) {
	var entries []container.Entry
	inUse := func() (map[oci.Digest]bool, error) { // with the lock that whoever makes a container shares
		if g.Containers, err = e.containers.Rubbish(e.trash); err != nil {
			return nil, err
		}
		if err = e.collectCgroups(); err != nil {
			return nil, err
		}
		if entries, err = e.containers.List(); err != nil {
			return nil, err
		}
		keep := manifests(entries)
		for _, manifest := range kept {
			keep[manifest] = true
		}
		swept, err := e.images.Sweep(keep)
		if err != nil {
			return nil, err
		}
		g.Blobs = swept.Blobs
		return e.layersInUse(entries)
	}
	collected, err := e.store.Collect(context.Background(), inUse)
	g.Layers, g.Bytes, g.Staging = collected.Layers, collected.Bytes, collected.Staging
	return g, errors.Join(err, e.dropFilters())
}

func manifests(entries []container.Entry) map[oci.Digest]bool {
	keep := map[oci.Digest]bool{}
	for _, c := range entries {
		if c.Record.Manifest != "" {
			keep[c.Record.Manifest] = true
		}
	}
	return keep
}

// layersInUse are those of images and of containers.
func (e *Engine) layersInUse(entries []container.Entry) (map[oci.Digest]bool, error) {
	images, err := e.images.All()
	if err != nil {
		return nil, err
	}
	used := map[oci.Digest]bool{}
	for _, img := range images {
		for _, id := range img.Layers {
			used[id] = true
		}
	}
	for _, c := range entries {
		for _, id := range c.Record.Layers {
			used[id] = true
		}
	}
	return used, nil
}

// Reap deletes what is in the trash, at a low priority. If somebody else is at
// it, it waits for that, or with wait unset returns at once.
func (e *Engine) Reap(ctx context.Context, wait bool) (store.Reaped, error) {
	if wait {
		return e.store.ReapAll(ctx)
	}
	return e.store.Reap(ctx)
}

// spaceHint says what to do about a full disk, or a limit on the size of files,
// of which the signal SIGXFSZ does nothing to a Go program.
func (e *Engine) spaceHint(err error) error {
	if errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("%w; raise the limit on the size of files (ulimit -f) and try again", err)
	}
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return err
	}
	return fmt.Errorf("%w; free some space on the filesystem of %s (strata df, strata gc) and try again", err, e.root)
}

// TrashIsFull reports whether so much lies in the trash that it is worth starting
// a reaper: many entries, by the link count of the directory. New inodes are slow
// to make for minutes after old ones were deleted (recently_deleted in
// fs/ext4/ialloc.c), so this should be seldom.
func (e *Engine) TrashIsFull() bool {
	const many = 512
	var st unix.Stat_t
	return unix.Stat(e.root+"/trash", &st) == nil && st.Nlink > many
}
