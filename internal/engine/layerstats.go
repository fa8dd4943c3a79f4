// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"golang.org/x/sys/unix"

	"strata/internal/image"
	"strata/internal/oci"
	"strata/internal/overlay"
)

// LayerStats is what a layer of an image has, and what it takes from the view.
type LayerStats struct {
	ID     oci.Digest
	Step   LayerStep
	Size   int64 // bytes of the regular files in it
	Files  int   // names in it that are no directories and no whiteouts
	Hidden int64 // bytes of regular files of older layers that show no more because of it
}

// LayerStats measures the layers of an image, oldest first.
func (e *Engine) LayerStats(img image.Image) ([]LayerStats, error) {
	s, err := e.openStack(string(img.Manifest))
	if err != nil {
		return nil, err
	}
	defer s.close()
	h := hides{stats: make([]LayerStats, len(img.Layers)), linked: map[fileID]*linkedFile{}, of: s.of}
	for trail, err := range overlay.Trails(s.traced, overlay.TrailOptions{Marks: e.marks, Gone: true}) {
		if err == nil {
			err = h.add(trail)
		}
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", img.ID.Short(), err)
		}
	}
	h.addLinked()
	steps := layerSteps(img)
	for i, id := range img.Layers {
		st := &h.stats[i]
		st.ID, st.Step = id, steps[i]
		if st.Size, err = e.LayerSize(id); err != nil {
			return nil, err
		}
		st.Files = h.stats[lastIndex(img.Layers, id)].Files // of a layer that is there twice
	}
	return h.stats, nil
}

// hides adds up what layers hide.
type hides struct {
	stats  []LayerStats
	of     []int // the layer of each tree
	linked map[fileID]*linkedFile
}

type fileID struct{ dev, ino uint64 }

// linkedFile is a file of several names, some of them hidden. Its bytes are
// hidden with the last.
type linkedFile struct {
	names int // that show
	size  int64
	by    int // the newest layer that hid one
}

func (h *hides) add(t *overlay.Trail) error {
	for i, step := range t.Steps {
		if !step.Gone && step.Type != unix.DT_DIR {
			h.stats[h.of[step.Layer]].Files++
		}
		if i == 0 || t.Steps[i-1].Gone || t.Steps[i-1].Type != unix.DT_REG {
			continue
		}
		st, err := t.Stat(i - 1)
		if err != nil {
			return err
		}
		h.hide(&st, h.of[step.Layer])
	}
	return nil
}

func (h *hides) hide(st *unix.Stat_t, by int) {
	if st.Nlink == 1 {
		h.stats[by].Hidden += st.Size
		return
	}
	id := fileID{st.Dev, st.Ino}
	f := h.linked[id]
	if f == nil {
		f = &linkedFile{names: int(st.Nlink), size: st.Size}
		h.linked[id] = f
	}
	f.names--
	f.by = max(f.by, by)
}

// addLinked adds the files of which no name shows any more.
func (h *hides) addLinked() {
	for _, f := range h.linked {
		if f.names == 0 {
			h.stats[f.by].Hidden += f.size
		}
	}
}
