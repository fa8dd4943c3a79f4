// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	"strata/internal/container"
	"strata/internal/image"
	"strata/internal/oci"
)

// PruneOptions say which images PruneImages removes.
type PruneOptions struct {
	All    bool                       // those with names too
	Filter func(oci.ImageConfig) bool // nil: any
}

// Pruned is what PruneImages did.
type Pruned struct {
	Untagged []string
	Deleted  []oci.Digest // images, then layers that nothing refers to any more
	Bytes    int64        // of the regular files in those layers
}

// PruneImages removes the images that no container was made from and that are not
// mounted: those without a name, or all.
func (e *Engine) PruneImages(o PruneOptions) (p Pruned, err error) {
	images, err := e.images.All()
	if err != nil {
		return p, err
	}
	entries, err := e.containers.List()
	if err != nil {
		return p, err
	}
	var kept []oci.Digest
	for _, img := range images {
		if !e.isPrunable(img, entries, o) {
			kept = append(kept, img.Manifest)
			continue
		}
		for _, name := range img.Names {
			if err := e.images.Untag(name); err != nil {
				return p, err
			}
			p.Untagged = append(p.Untagged, name.Familiar())
		}
		p.Deleted = append(p.Deleted, img.ID)
	}
	g, err := e.collectBut(kept)
	p.Deleted, p.Bytes = append(p.Deleted, g.Layers...), g.Bytes
	return p, err
}

func (e *Engine) isPrunable(img image.Image, entries []container.Entry, o PruneOptions) bool {
	used := slices.ContainsFunc(entries, func(c container.Entry) bool { return c.Record.ImageID == img.ID })
	return !used && (o.All || len(img.Names) == 0) && !isMounted(e.hostPath(img.ID.Hex())) && (o.Filter == nil || o.Filter(img.Config))
}
