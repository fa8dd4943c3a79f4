// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"slices"

	"strata/internal/fault"
	"strata/internal/oci"
)

// someImages checks the images that were asked for: their documents, names and
// layers.
func (c *checking) someImages() error {
	layers := map[oci.Digest]bool{}
	for _, name := range c.o.Images {
		if err := c.oneImage(name, layers); err != nil {
			return err
		}
	}
	if err := c.layers(slices.Sorted(maps.Keys(layers))); err != nil {
		return err
	}
	return c.stacks()
}

// oneImage checks an image's documents, and adds its layers to those to be
// checked. An image that is not there is an error; one that cannot be read is
// damaged.
func (c *checking) oneImage(name string, layers map[oci.Digest]bool) error {
	var faults later
	err := c.shared(func() error {
		img, err := c.images.Resolve(name)
		if IsUnknownImage(err) {
			return err
		}
		if err != nil {
			faults.add(fault.Fault{Object: "image " + name, What: err.Error(), Todo: "see what strata check says of the whole store"})
			return nil
		}
		c.known = append(c.known, img)
		c.images.CheckImage(img, faults.add)
		c.missingLayers(img, faults.add)
		for _, id := range img.Layers {
			layers[id] = true
		}
		return nil
	})
	for _, f := range faults {
		c.found(c.exclusively(f))
	}
	c.result.Images = len(c.known)
	return err
}
