// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"strata/internal/oci"
)

// maxDepth bounds how deep indexes are nested, and maxImages how many images one
// archive has.
const (
	maxDepth  = 4
	maxImages = 10_000
)

// checkLayout reads the version of an image layout (image-layout.md#oci-layout-file).
func checkLayout(data []byte) error {
	var layout struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(data, &layout); err != nil {
		return fmt.Errorf("%s: %w", layoutName, plain(err))
	}
	if !strings.HasPrefix(layout.Version, "1.") {
		return fmt.Errorf("%s: version %s is not supported, 1.0.0 is", layoutName, quote(layout.Version))
	}
	return nil
}

// layoutImages follows index.json.
func (r *Reader) layoutImages(layout, data []byte, want oci.Platform) ([]Image, error) {
	if err := checkLayout(layout); err != nil {
		return nil, err
	}
	index, err := oci.ParseIndex(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", indexName, err)
	}
	roots, err := rootsOf(index, want)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", indexName, err)
	}
	var images []Image
	var passed error
	for _, root := range roots {
		img, err := r.rootImage(root, want)
		var foreign *foreignError
		if errors.As(err, &foreign) {
			passed = err // an artifact beside images
			continue
		}
		if err != nil {
			return nil, err
		}
		images = append(images, img)
	}
	if len(images) == 0 && passed != nil {
		return nil, passed
	}
	return images, nil
}

// A root is a descriptor of index.json with all the names that it has there.
type root struct {
	oci.Descriptor
	names []string
}

func (r root) String() string {
	if len(r.names) > 0 {
		return "image " + quote(r.names[0])
	}
	return "image " + r.Digest.String()
}

// rootsOf lists the descriptors of images in index.json, each once, in their
// order. Where nothing is named the index may be one image for several platforms.
func rootsOf(index oci.Index, want oci.Platform) ([]root, error) {
	chosen := byName(index, want)
	var roots []root
	at := make(map[oci.Digest]int)
	for _, d := range index.Manifests {
		name := nameOf(d)
		if !isImageType(d.MediaType) || name != "" && chosen[name].Digest != d.Digest || name == "" && !fits(d, want) {
			continue
		}
		i, ok := at[d.Digest]
		if !ok {
			i = len(roots)
			at[d.Digest] = i
			roots = append(roots, root{Descriptor: d})
		}
		if name != "" {
			roots[i].names = append(roots[i].names, name)
		}
	}
	if len(roots) == 0 {
		return nil, noneOf(index, want)
	}
	if len(roots) > maxImages {
		return nil, fmt.Errorf("%d images, more than the %d allowed", len(roots), maxImages)
	}
	return roots, nil
}

// byName chooses among descriptors of one name: the first that is for the
// platform, or else the last, as when a tool appends.
func byName(index oci.Index, want oci.Platform) map[string]oci.Descriptor {
	chosen := make(map[string]oci.Descriptor)
	for _, d := range index.Manifests {
		have, seen := chosen[nameOf(d)]
		if isImageType(d.MediaType) && (!seen || !(have.Platform != nil && fits(have, want)) && (fits(d, want) || !fits(have, want))) {
			chosen[nameOf(d)] = d
		}
	}
	return chosen
}

func nameOf(d oci.Descriptor) string {
	if name := d.Annotations[imageNameAnnotation]; name != "" {
		return name
	}
	return d.Annotations[refNameAnnotation]
}

// isImageType tells what may lead to an image. A descriptor without a media type
// is followed, and what it leads to says what it is; others are passed over
// (image-index.md).
func isImageType(mediaType string) bool {
	switch mediaType {
	case "", oci.MediaTypeManifest, oci.MediaTypeIndex, oci.MediaTypeDockerManifest, oci.MediaTypeDockerIndex:
		return true
	}
	return false
}

func fits(d oci.Descriptor, want oci.Platform) bool {
	return d.Platform == nil || d.Platform.Matches(want)
}

// noneOf says why an index has nothing for us.
func noneOf(index oci.Index, want oci.Platform) error {
	if len(index.Manifests) == 0 {
		return errors.New("it lists no image")
	}
	var have []string
	for _, d := range index.Manifests {
		if d.Platform != nil {
			have = append(have, quote(d.Platform.String()))
		}
	}
	if len(have) > 0 {
		return fmt.Errorf("no image for %s, but for %s", want, strings.Join(have[:min(len(have), 20)], ", "))
	}
	return fmt.Errorf("it lists no image, but %s", quote(index.Manifests[0].MediaType))
}

// rootImage reads what one descriptor of index.json leads to.
func (r *Reader) rootImage(root root, want oci.Platform) (Image, error) {
	img, err := r.image(root.Descriptor, want, maxDepth)
	if err != nil {
		return Image{}, fmt.Errorf("%s: %w", root, err)
	}
	img.Names, img.Unusable = references(root.names)
	return img, nil
}

// image follows a descriptor, through indexes, to a manifest and its config.
func (r *Reader) image(d oci.Descriptor, want oci.Platform, depth int) (Image, error) {
	data, err := r.blob(d)
	if err != nil {
		return Image{}, err
	}
	isIndex, err := indexIs(d, data)
	if err != nil {
		return Image{}, fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	if isIndex {
		return r.indexed(d, data, want, depth)
	}
	m, err := oci.ParseManifest(data)
	if err != nil {
		return Image{}, fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	if err := foreign(m); err != nil {
		return Image{}, err
	}
	config, err := r.blob(m.Config)
	if err != nil {
		return Image{}, fmt.Errorf("config: %w", err)
	}
	img := Image{Manifest: data, Config: config}
	return img, r.checkLayers(m, config)
}

// indexIs tells an index from a manifest, which the parser then holds it to.
func indexIs(d oci.Descriptor, data []byte) (bool, error) {
	switch d.MediaType {
	case oci.MediaTypeIndex, oci.MediaTypeDockerIndex:
		return true, nil
	case "":
		var shape struct {
			Manifests json.RawMessage `json:"manifests"`
		}
		err := json.Unmarshal(data, &shape)
		return shape.Manifests != nil, err
	}
	return false, nil
}

// indexed selects from an index; nested ones are followed when nothing else
// matches.
func (r *Reader) indexed(d oci.Descriptor, data []byte, want oci.Platform, depth int) (Image, error) {
	index, err := oci.ParseIndex(data)
	if err != nil {
		return Image{}, fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	if depth == 0 {
		return Image{}, fmt.Errorf("index %s: indexes are nested deeper than %d", d.Digest, maxDepth)
	}
	if chosen, ok := index.Select(want); ok {
		return r.image(chosen, want, depth-1)
	}
	none := noneOf(index, want)
	for _, nested := range index.Manifests {
		if nested.Platform != nil || !isImageType(nested.MediaType) {
			continue
		}
		img, err := r.image(nested, want, depth-1)
		if err == nil {
			return img, nil
		}
		none = err
	}
	return Image{}, fmt.Errorf("index %s: %w", d.Digest, none)
}

// A foreignError is a manifest that is no image's.
type foreignError struct{ kind string }

func (e *foreignError) Error() string {
	return fmt.Sprintf("it is an artifact of type %s and not an image", quote(e.kind))
}

func foreign(m oci.Manifest) error {
	switch m.Config.MediaType {
	case oci.MediaTypeConfig, oci.MediaTypeDockerConfig:
		return nil
	}
	kind := m.ArtifactType
	if kind == "" {
		kind = m.Config.MediaType
	}
	return &foreignError{kind}
}

// checkLayers compares the manifest with the config and with the layers that have
// been read already.
func (r *Reader) checkLayers(m oci.Manifest, config []byte) error {
	c, err := oci.ParseConfig(config)
	if err != nil {
		return fmt.Errorf("blob %s: %w", m.Config.Digest, err)
	}
	if len(m.Layers) != len(c.RootFS.DiffIDs) {
		return fmt.Errorf("the manifest has %d layers and the config %d", len(m.Layers), len(c.RootFS.DiffIDs))
	}
	for i, d := range m.Layers {
		if err := r.members.check(d, c.RootFS.DiffIDs[i]); err != nil {
			return fmt.Errorf("layer %s: %w", d.Digest, err)
		}
	}
	return nil
}
