// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"slices"

	"strata/internal/image"
	"strata/internal/oci"
)

// An ImageNode is an image among those that have the same oldest layers, or, with
// no Image, the layers that those beneath it share.
type ImageNode struct {
	Image    *image.Image
	Layers   int
	Size     int64 // bytes of the regular files in the layers
	Shared   int64 // of those in layers that other images have too
	Children []*ImageNode
}

// Unique is the bytes that no other image has.
func (n *ImageNode) Unique() int64 { return n.Size - n.Shared }

// ImageTree puts each image that is to be shown beneath the one, or the layers,
// that it goes on from. What they share they may share with the others.
func (e *Engine) ImageTree(images []image.Image, show func(image.Image) bool) ([]*ImageNode, error) {
	f := forest{size: map[oci.Digest]int64{}, users: map[oci.Digest]int{}}
	for _, img := range images {
		for id := range distinct(img.Layers) {
			size, err := e.LayerSize(id)
			if err != nil {
				return nil, err
			}
			f.size[id] = size
			f.users[id]++
		}
	}
	sorted := slices.DeleteFunc(slices.Clone(images), func(img image.Image) bool { return !show(img) })
	slices.SortStableFunc(sorted, func(a, b image.Image) int { return slices.Compare(a.Layers, b.Layers) })
	nodes := f.grow(sorted, 0)
	sortNodes(nodes)
	return nodes, nil
}

type forest struct {
	size  map[oci.Digest]int64
	users map[oci.Digest]int // the images that have a layer
}

// grow makes nodes of images, sorted by their layers, whose first depth layers
// are the same and which all have more, or none.
func (f *forest) grow(images []image.Image, depth int) (nodes []*ImageNode) {
	for len(images) > 0 {
		first := images[0].Layers
		if len(first) <= depth {
			nodes = append(nodes, f.node(&images[0], first))
			images = images[1:]
			continue
		}
		n := slices.IndexFunc(images, func(img image.Image) bool { return img.Layers[depth] != first[depth] })
		if n < 0 {
			n = len(images)
		}
		nodes = append(nodes, f.branch(images[:n])...)
		images = images[n:]
	}
	return nodes
}

// branch makes nodes of images that have their oldest layer beyond those above in
// common. Images of equal layers stand side by side, and others beneath the first.
func (f *forest) branch(images []image.Image) []*ImageNode {
	first, last := images[0].Layers, images[len(images)-1].Layers
	common := 0 // sorted as they are, what the first and the last share all do
	for common < min(len(first), len(last)) && first[common] == last[common] {
		common++
	}
	same := 0
	for same < len(images) && len(images[same].Layers) == common {
		same++
	}
	rest := f.grow(images[same:], common)
	if same == 0 {
		shared := f.node(nil, first[:common])
		shared.Children = rest
		return []*ImageNode{shared}
	}
	var nodes []*ImageNode
	for i := range images[:same] {
		nodes = append(nodes, f.node(&images[i], images[i].Layers))
	}
	nodes[0].Children = rest
	return nodes
}

func (f *forest) node(img *image.Image, layers []oci.Digest) *ImageNode {
	n := &ImageNode{Image: img, Layers: len(layers)}
	for id := range distinct(layers) {
		n.Size += f.size[id]
		if f.users[id] > 1 {
			n.Shared += f.size[id]
		}
	}
	return n
}

// sortNodes puts images in the order of their names, those without one last.
func sortNodes(nodes []*ImageNode) {
	slices.SortStableFunc(nodes, func(a, b *ImageNode) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(firstName(a), firstName(b)))
	})
	for _, n := range nodes {
		sortNodes(n.Children)
	}
}

func rank(n *ImageNode) int {
	if firstName(n) == "" {
		return 1
	}
	return 0
}

// firstName is the first name of an image, or of those beneath what they share.
func firstName(n *ImageNode) string {
	if n.Image != nil {
		if len(n.Image.Names) == 0 {
			return ""
		}
		return n.Image.Names[0].Familiar()
	}
	name := ""
	for _, c := range n.Children {
		if s := firstName(c); name == "" || s != "" && s < name {
			name = s
		}
	}
	return name
}
