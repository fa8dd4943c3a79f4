// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"strata/internal/image"
	"strata/internal/oci"
)

// Images returns all images.
func (e *Engine) Images() ([]image.Image, error) { return e.images.All() }

// Image finds one image by name or ID.
func (e *Engine) Image(name string) (img image.Image, err error) {
	err = e.shared(func() error { img, err = e.resolve(name); return err })
	return img, err
}

// ImageSize is the bytes of the regular files in all layers of an image.
func (e *Engine) ImageSize(img image.Image) (int64, error) {
	var size int64
	for _, id := range img.Layers {
		l, err := e.store.Layer(id)
		if err != nil {
			return 0, err
		}
		size += l.ContentSize
	}
	return size, nil
}

// LayerSize is the same for one layer.
func (e *Engine) LayerSize(id oci.Digest) (int64, error) {
	l, err := e.store.Layer(id)
	return l.ContentSize, err
}

// Tag gives the image called source another name.
func (e *Engine) Tag(source, target string) error {
	ref, err := parseName(target)
	if err == nil && ref.Repository == "" {
		err = errors.New("the new name is empty")
	}
	if err != nil {
		return err
	}
	return e.shared(func() error {
		img, err := e.resolve(source)
		if err != nil {
			return err
		}
		return e.images.Tag(img, ref)
	})
}

// Removed is what RemoveImage did.
type Removed struct {
	Untagged []string
	Deleted  []oci.Digest // the image, then layers that nothing refers to any more
}

// RemoveImage takes a name from an image, and deletes the image with its last
// name. Given an ID, all names go. An image that a container was made from
// stays unless force is set; its layers stay even then.
func (e *Engine) RemoveImage(name string, force bool) (r Removed, err error) {
	img, names, err := e.namesToRemove(name, force)
	if err != nil {
		return r, err
	}
	for _, ref := range names {
		if err := e.images.Untag(ref); err != nil {
			return r, err
		}
		r.Untagged = append(r.Untagged, ref.Familiar())
	}
	if len(img.Names) > len(names) {
		return r, nil
	}
	collected, err := e.Collect()
	r.Deleted = append([]oci.Digest{img.ID}, collected.Layers...)
	return r, err
}

// namesToRemove finds the image with all its names, and those that go.
func (e *Engine) namesToRemove(name string, force bool) (image.Image, []oci.Reference, error) {
	found, err := e.images.Resolve(name)
	if err != nil {
		return found, nil, err
	}
	all, err := e.images.All()
	if err != nil {
		return found, nil, err
	}
	for _, img := range all {
		if img.Manifest != found.Manifest {
			continue
		}
		names := img.Names
		ref, refErr := oci.ParseReference(name)
		if ref = ref.WithDefaultTag(); refErr == nil && slices.Contains(names, ref) {
			names = []oci.Reference{ref}
		} else if len(names) > 1 && !force {
			return img, nil, fmt.Errorf("remove image %s: it has %d names (%s); name one of them, or use --force",
				img.ID.Short(), len(names), familiar(names))
		}
		if len(names) == len(img.Names) {
			err = e.unusedUnless(img, force)
		}
		return img, names, err
	}
	return found, nil, &image.UnknownError{Name: name}
}

func (e *Engine) unusedUnless(img image.Image, force bool) error {
	if at := e.hostPath(img.ID.Hex()); isMounted(at) {
		return fmt.Errorf("remove image %s: it is mounted at %s; unmount it first (strata umount %s)", img.ID.Short(), at, img.ID.Short())
	}
	if force {
		return nil
	}
	entries, err := e.containers.List()
	for _, c := range entries {
		if c.Record.ImageID == img.ID {
			return fmt.Errorf("remove image %s: container %s was made from it; remove that first, or use --force",
				img.ID.Short(), c.Record.DisplayName())
		}
	}
	return err
}

func familiar(names []oci.Reference) string {
	var texts []string
	for _, n := range names {
		texts = append(texts, n.Familiar())
	}
	return strings.Join(texts, ", ")
}

// IsUnknownImage reports whether err says that there is no such image.
func IsUnknownImage(err error) bool {
	var unknown *image.UnknownError
	return errors.As(err, &unknown)
}
