// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"

	"strata/internal/durable"
	"strata/internal/image"
	"strata/internal/overlay"
)

// imageStack is an image with the trees that its layers are kept as, open for
// looking at each by itself. They may be removed meanwhile: what is held stays
// until close.
type imageStack struct {
	image  image.Image
	traced []overlay.TracedLayer
	of     []int // the image's layer of each of those
}

// openStack opens the image called name. The caller closes it.
func (e *Engine) openStack(name string) (s *imageStack, err error) {
	s = &imageStack{}
	err = e.shared(func() error {
		if s.image, err = e.resolve(name); err != nil {
			return err
		}
		if err = e.openTrees(s); err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (e *Engine) openTrees(s *imageStack) error {
	layers := newestOnly(s.image.Layers)
	trees, err := e.store.Trees(layers)
	if err != nil {
		return err
	}
	for i, t := range trees {
		completes := i > 0 && trees[i-1].Layer == t.Layer
		s.traced = append(s.traced, overlay.TracedLayer{Dir: t.Dir, Implied: t.Implied, Completes: completes})
		s.of = append(s.of, lastIndex(s.image.Layers, layers[t.Layer]))
	}
	for _, t := range trees {
		if _, err := durable.Share(t.Dir); err != nil { // the lock is the open file's
			return err
		}
	}
	return nil
}

func lastIndex[T comparable](list []T, v T) int {
	for i, w := range slices.Backward(list) {
		if w == v {
			return i
		}
	}
	return -1
}

func (s *imageStack) close() {
	for _, l := range s.traced {
		l.Dir.Close()
	}
}
