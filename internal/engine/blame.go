// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/image"
	"strata/internal/oci"
	"strata/internal/overlay"
)

// BlameOptions say what Blame lists.
type BlameOptions struct {
	Path    string // it, and what is beneath it; "" is everything
	Deleted bool   // paths that the image does not show any more too
	All     bool   // each change of each path, and not the last one only
}

// A Blamed is what one layer did to one path.
type Blamed struct {
	Path  string
	Kind  byte // overlay.Added, Modified or Deleted
	Layer oci.Digest
	Step  LayerStep
}

// A LayerStep is the step of an image's history that made a layer. Steps are
// counted from 1, the oldest; those without a layer count too.
type LayerStep struct {
	Number int
	oci.History
}

// Blame calls f for each path of an image and what is beneath it, in path order,
// with the layer and the step of the history that made it or changed it last. A
// directory that is the same but for its time, which follows from what is in it,
// is not changed, nor is a file that a layer has again.
func (e *Engine) Blame(name string, o BlameOptions, f func(Blamed) error) error {
	found, err := e.blamePaths(name, o, f)
	if err == nil && !found {
		err = e.blameMissing(name, o.Path)
	}
	if err != nil {
		return fmt.Errorf("blame: %w", err)
	}
	return nil
}

// blamePaths is Blame that tells whether there is any such path.
func (e *Engine) blamePaths(name string, o BlameOptions, f func(Blamed) error) (found bool, err error) {
	s, err := e.openStack(name)
	if err != nil {
		return false, err
	}
	defer s.close()
	steps := layerSteps(s.image)
	within := e.resolveWithin(name, o.Path)
	found = within == "" // the root is there
	trails := overlay.Trails(s.traced, overlay.TrailOptions{Marks: e.marks, Path: within, Gone: o.Deleted || o.All})
	for trail, err := range trails {
		if err == nil {
			found = found || trail.Shown() || o.Deleted || o.All
			err = blame(trail, o, func(tree int, kind byte) error {
				layer := s.of[tree]
				return f(Blamed{trail.Path, kind, s.image.Layers[layer], steps[layer]})
			})
		}
		if err != nil {
			return found, fmt.Errorf("image %s: %w", name, err)
		}
	}
	return found, nil
}

// blame calls f for what is asked of one path.
func blame(t *overlay.Trail, o BlameOptions, f func(tree int, kind byte) error) error {
	switch {
	case o.All:
		return blameAll(t, f)
	case o.Deleted || t.Shown():
		return blameLast(t, f)
	}
	return nil
}

func blameAll(t *overlay.Trail, f func(tree int, kind byte) error) error {
	for i, step := range t.Steps {
		kind, err := t.Kind(i)
		if err == nil && kind != overlay.Same {
			err = f(step.Layer, kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func blameLast(t *overlay.Trail, f func(tree int, kind byte) error) error {
	for i, step := range slices.Backward(t.Steps) { // the oldest is never the same
		kind, err := t.Kind(i)
		if err != nil {
			return err
		}
		if kind != overlay.Same {
			return f(step.Layer, kind)
		}
	}
	return nil
}

// resolveWithin is a path without links, as the image has it; one that is not
// there is taken as it is written.
func (e *Engine) resolveWithin(name, p string) string {
	clean := strings.TrimPrefix(path.Clean("/"+p), "/")
	if clean == "" {
		return ""
	}
	l, err := e.lookAtImage(name, nil)
	if err != nil {
		return clean
	}
	defer l.Close()
	dir, base := path.Split(clean)
	n, err := l.Find(dir, true)
	if err != nil {
		return clean
	}
	defer n.Close()
	return strings.TrimPrefix(path.Join(l.where(int(n.file.Fd())), base), "/")
}

// blameMissing says of a path that the image does not show what became of it.
func (e *Engine) blameMissing(name, p string) error {
	var last Blamed
	enough := errors.New("enough")
	_, err := e.blamePaths(name, BlameOptions{Path: p, Deleted: true}, func(b Blamed) error { last = b; return enough })
	if errors.Is(err, enough) {
		return fmt.Errorf("image %s: %s: it was deleted by layer %s, step %d; --deleted shows it", name, last.Path, last.Layer.Short(), last.Step.Number)
	}
	if err != nil {
		return err
	}
	l, err := e.lookAtImage(name, nil)
	if err != nil {
		return err
	}
	defer l.Close()
	return l.missing(path.Clean("/"+p), unix.ENOENT)
}

// layerSteps is the step of each layer. A history names all layers or none; then
// each layer is a step.
func layerSteps(img image.Image) []LayerStep {
	var steps []LayerStep
	for i, h := range img.Config.History {
		if !h.EmptyLayer {
			steps = append(steps, LayerStep{i + 1, h})
		}
	}
	for i := len(steps); i < len(img.Layers); i++ {
		steps = append(steps, LayerStep{Number: i + 1})
	}
	return steps
}
