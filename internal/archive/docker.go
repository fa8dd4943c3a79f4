// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"strata/internal/oci"
)

// dockerImage is an entry of manifest.json (moby, image/tarexport). The file
// repositories, for versions before 1.10, says nothing that is not here.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string // oldest first
}

// parseDocker parses manifest.json.
func parseDocker(data []byte) ([]dockerImage, error) {
	var images []dockerImage
	if err := json.Unmarshal(data, &images); err != nil {
		return nil, plain(err)
	}
	switch {
	case len(images) == 0:
		return nil, errors.New("it lists no image")
	case len(images) > maxImages:
		return nil, fmt.Errorf("%d images, more than the %d allowed", len(images), maxImages)
	}
	for i, img := range images {
		if img.Config == "" {
			return nil, fmt.Errorf("image %d: no config", i+1)
		}
	}
	return images, nil
}

// plain says that a document has another shape in words that are not Go's.
func plain(err error) error {
	var shape *json.UnmarshalTypeError
	if errors.As(err, &shape) {
		return fmt.Errorf("at byte %d: %s is not what belongs there", shape.Offset, shape.Value)
	}
	return err
}

func (d dockerImage) String() string {
	if len(d.RepoTags) > 0 {
		return "image " + quote(d.RepoTags[0])
	}
	return "image of config " + quote(d.Config)
}

func (r *Reader) dockerImages(data []byte) ([]Image, error) {
	listed, err := parseDocker(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dockerName, err)
	}
	var images []Image
	at := make(map[oci.Digest]int) // one image may be listed with each of its names
	for _, l := range listed {
		img, err := r.dockerImage(l)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l, err)
		}
		digest := oci.FromBytes(img.Manifest)
		if i, ok := at[digest]; ok {
			images[i].Names = append(images[i].Names, img.Names...)
			continue
		}
		at[digest] = len(images)
		images = append(images, img)
	}
	return images, nil
}

// dockerImage reads one image and makes a manifest for it.
func (r *Reader) dockerImage(d dockerImage) (Image, error) {
	config, err := r.document(clean(d.Config))
	if errors.Is(err, fs.ErrNotExist) {
		err = errMissing
	}
	if err != nil {
		return Image{}, fmt.Errorf("config %s: %w", quote(d.Config), err)
	}
	c, err := oci.ParseConfig(config)
	if err != nil {
		return Image{}, fmt.Errorf("config %s: %w", quote(d.Config), err)
	}
	if len(d.Layers) != len(c.RootFS.DiffIDs) {
		return Image{}, fmt.Errorf("%s lists %d layers and the config %d", dockerName, len(d.Layers), len(c.RootFS.DiffIDs))
	}
	layers := make([]oci.Descriptor, len(d.Layers))
	for i, name := range d.Layers {
		if layers[i], err = r.dockerLayer(clean(name), c.RootFS.DiffIDs[i]); err != nil {
			return Image{}, fmt.Errorf("layer %s: %w", quote(name), err)
		}
	}
	manifest, err := json.Marshal(oci.NewManifest(config, layers))
	if err != nil {
		return Image{}, err
	}
	names, unusable := references(d.RepoTags)
	return Image{Manifest: manifest, Config: config, Names: names, Unusable: unusable}, nil
}

func (r *Reader) dockerLayer(name string, diffID oci.Digest) (oci.Descriptor, error) {
	d, err := r.members.layer(name, diffID)
	if errors.Is(err, fs.ErrNotExist) {
		err = errMissing
	}
	if err != nil {
		return d, err
	}
	r.layers[d.Digest] = name
	return d, nil
}
