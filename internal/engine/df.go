// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"strata/internal/container"
	"strata/internal/image"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/store"
)

// ImageUsage is what an image takes on disk. Shared is the part of Allocated
// in layers that other images have too; Unique is the rest, which removing the
// image gives back if no container was made from it.
type ImageUsage struct {
	Image          image.Image
	Usage          store.Usage
	Shared, Unique int64
	Containers     int
}

// LayerUsage is what a layer takes, and how many images and containers stand on it.
type LayerUsage struct {
	ID                 oci.Digest
	Usage              store.Usage
	Images, Containers int
}

// ContainerUsage is what a container's directory takes: its upperdir, the
// kernel's workdir and the record. All of it is its own.
type ContainerUsage struct {
	Entry container.Entry
	Usage store.Usage
}

// DiskUsage is what everything in the store takes.
type DiskUsage struct {
	Images     []ImageUsage
	Layers     []LayerUsage
	Containers []ContainerUsage
	// Trash is what has been removed and waits to be deleted, in so many entries.
	Trash        store.Usage
	TrashEntries int
}

// DiskUsage measures the store. Layers never change and are measured once.
func (e *Engine) DiskUsage() (u DiskUsage, err error) {
	images, err := e.images.All()
	if err != nil {
		return u, err
	}
	entries, err := e.containers.List()
	if err != nil {
		return u, err
	}
	layers, err := e.layerUsage(images, entries)
	if err != nil {
		return u, err
	}
	for _, id := range slices.Sorted(maps.Keys(layers)) {
		u.Layers = append(u.Layers, *layers[id])
	}
	for _, img := range images {
		u.Images = append(u.Images, imageUsage(img, layers, entries))
	}
	for _, c := range entries {
		usage, err := measureContainer(c)
		if err != nil {
			return u, err
		}
		u.Containers = append(u.Containers, ContainerUsage{c, usage})
	}
	return u, e.measureTrash(&u)
}

// measureTrash measures while a reaper may be deleting: what is gone takes
// nothing.
func (e *Engine) measureTrash(u *DiskUsage) error {
	dir, err := linux.OpenDir(filepath.Join(e.root, "trash"))
	if err != nil {
		return err
	}
	defer dir.Close()
	entries, err := linux.ReadDir(int(dir.Fd()))
	if err != nil {
		return err
	}
	u.TrashEntries = len(entries)
	for _, entry := range entries {
		tree, err := linux.OpenDir(filepath.Join(dir.Name(), entry.Name))
		if err != nil {
			continue
		}
		if usage, err := store.Measure(tree); err == nil {
			u.Trash = u.Trash.Plus(usage)
		}
		tree.Close()
	}
	return nil
}

// layerUsage measures each layer and counts what stands on it.
func (e *Engine) layerUsage(images []image.Image, entries []container.Entry) (map[oci.Digest]*LayerUsage, error) {
	layers, err := e.store.Layers()
	if err != nil {
		return nil, err
	}
	usage := map[oci.Digest]*LayerUsage{}
	for _, l := range layers {
		measured, err := e.store.Usage(l.DiffID)
		if err != nil {
			return nil, err
		}
		usage[l.DiffID] = &LayerUsage{ID: l.DiffID, Usage: measured}
	}
	for _, img := range images {
		for id := range distinct(img.Layers) {
			if l := usage[id]; l != nil {
				l.Images++
			}
		}
	}
	for _, c := range entries {
		for id := range distinct(c.Record.Layers) {
			if l := usage[id]; l != nil {
				l.Containers++
			}
		}
	}
	return usage, nil
}

// distinct is the set of a stack's layers: one may stand in it twice.
func distinct(layers []oci.Digest) map[oci.Digest]bool {
	set := map[oci.Digest]bool{}
	for _, id := range layers {
		set[id] = true
	}
	return set
}

func imageUsage(img image.Image, layers map[oci.Digest]*LayerUsage, entries []container.Entry) ImageUsage {
	u := ImageUsage{Image: img}
	for id := range distinct(img.Layers) {
		l := layers[id]
		if l == nil {
			continue
		}
		u.Usage = u.Usage.Plus(l.Usage)
		if l.Images > 1 {
			u.Shared += l.Usage.Allocated
		} else {
			u.Unique += l.Usage.Allocated
		}
	}
	for _, c := range entries {
		if c.Record.ImageID == img.ID {
			u.Containers++
		}
	}
	return u
}

// measureContainer measures; a container removed meanwhile takes nothing.
func measureContainer(c container.Entry) (store.Usage, error) {
	dir, err := linux.OpenDir(c.Path)
	if errors.Is(err, os.ErrNotExist) {
		return store.Usage{}, nil
	}
	if err != nil {
		return store.Usage{}, err
	}
	defer dir.Close()
	return store.Measure(dir)
}
