// SPDX-License-Identifier: Apache-2.0

// Package image keeps the images of a store: manifests and configs as the exact
// bytes that were received, and the names that point at them. The layers are the
// store's.
//
// A name is a small file that is replaced whole, a blob is a file named by its
// digest; both survive a power failure once the call that wrote them returned.
// Nothing here takes a lock: who adds a blob or a name holds the store's shared
// lock from before he looked until the last of them is written, and who sweeps
// holds it exclusive.
package image

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"strata/internal/durable"
	"strata/internal/oci"
)

// Images is the directory images of a store.
type Images struct{ dir *os.File }

// Open uses dir, which stays the caller's and must outlive the result. It holds
// the directories blobs/sha256 and names.
func Open(dir *os.File) *Images { return &Images{dir} }

// Image is a manifest with its config. Nobody changes one: Add makes another.
type Image struct {
	ID       oci.Digest // of the config document
	Manifest oci.Digest
	Config   oci.ImageConfig
	Layers   []oci.Digest    // diffIDs, oldest first
	Names    []oci.Reference // sorted; Resolve fills in only the name it was asked for
}

// load reads the manifest and the config that it names.
func (i *Images) load(manifest oci.Digest) (Image, error) {
	m, err := i.manifest(manifest)
	if err != nil {
		return Image{}, err
	}
	data, err := i.Blob(m.Config.Digest)
	if err != nil {
		return Image{}, fmt.Errorf("read config of manifest %s: %w", manifest, err)
	}
	config, err := oci.ParseConfig(data)
	if err != nil {
		return Image{}, fmt.Errorf("read blob %s: %w", m.Config.Digest, err)
	}
	return Image{ID: m.Config.Digest, Manifest: manifest, Config: config, Layers: config.RootFS.DiffIDs}, nil
}

func (i *Images) manifest(digest oci.Digest) (oci.Manifest, error) {
	data, err := i.Blob(digest)
	if err != nil {
		return oci.Manifest{}, err
	}
	m, err := oci.ParseManifest(data)
	if err != nil {
		return oci.Manifest{}, fmt.Errorf("read blob %s: %w", digest, err)
	}
	return m, nil
}

// Add stores a new image of the given config and layers, oldest first, and makes
// a manifest for it. The image has no name yet.
func (i *Images) Add(config oci.ImageConfig, layers []oci.Descriptor) (img Image, err error) {
	err = i.batch(func(b *durable.Batch) error {
		img, err = i.AddIn(b, config, layers)
		return err
	})
	return img, err
}

// AddIn is Add as part of a batch: the image is there when that is committed.
func (i *Images) AddIn(b *durable.Batch, config oci.ImageConfig, layers []oci.Descriptor) (Image, error) {
	data, err := config.Document()
	if err != nil {
		return Image{}, fmt.Errorf("add image: %w", err)
	}
	return i.addConfig(b, data, layers)
}

// batch commits what add adds to a batch.
func (i *Images) batch(add func(*durable.Batch) error) (err error) {
	b := durable.NewBatch(i.dir)
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := add(b); err != nil {
		return err
	}
	return b.Commit()
}

// AddConfig is Add with a config document that was received and is kept as it
// is, so that the image ID stays what it was.
func (i *Images) AddConfig(config []byte, layers []oci.Descriptor) (img Image, err error) {
	err = i.batch(func(b *durable.Batch) error {
		img, err = i.addConfig(b, config, layers)
		return err
	})
	return img, err
}

func (i *Images) addConfig(b *durable.Batch, config []byte, layers []oci.Descriptor) (Image, error) {
	manifest, err := json.Marshal(oci.NewManifest(config, layers))
	if err != nil {
		return Image{}, fmt.Errorf("add image: %w", err)
	}
	return i.importIn(b, manifest, config)
}

// Import stores an image whose manifest and config were received, byte for
// byte, and gives it names as Tag does; a name with a digest is one under which
// it was pulled. The two must belong together.
func (i *Images) Import(manifest, config []byte, names ...oci.Reference) (img Image, err error) {
	err = i.batch(func(b *durable.Batch) error {
		if img, err = i.importIn(b, manifest, config); err != nil {
			return err
		}
		for _, name := range names {
			var err error
			if name.Digest != "" {
				err = i.name(img, pinned(name), b.WriteFile)
			} else {
				err = i.TagIn(b, img, name)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return img, err
}

func (i *Images) importIn(b *durable.Batch, manifest, config []byte) (Image, error) {
	_, img, err := Parse(manifest, config)
	if err != nil {
		return Image{}, fmt.Errorf("add image %s: %w", oci.FromBytes(manifest), err)
	}
	if err := i.putBlobs(b, config, manifest); err != nil {
		return Image{}, fmt.Errorf("add image %s: %w", img.Manifest, err)
	}
	return img, nil
}

// Parse parses both documents and compares them: the size before the digest, and
// as many layers here as there. The image is as Import would store it.
func Parse(manifest, config []byte) (oci.Manifest, Image, error) {
	m, err := oci.ParseManifest(manifest)
	if err != nil {
		return m, Image{}, err
	}
	img, err := compared(m, config)
	img.Manifest = oci.FromBytes(manifest)
	return m, img, err
}

func compared(m oci.Manifest, config []byte) (Image, error) {
	id := oci.FromBytes(config)
	switch {
	case m.Config.Size != int64(len(config)):
		return Image{}, fmt.Errorf("config: %d bytes, the manifest says %d", len(config), m.Config.Size)
	case m.Config.Digest != id:
		return Image{}, fmt.Errorf("config: digest %s, the manifest says %s", id, m.Config.Digest)
	}
	c, err := oci.ParseConfig(config)
	if err != nil {
		return Image{}, err
	}
	if len(m.Layers) != len(c.RootFS.DiffIDs) {
		return Image{}, fmt.Errorf("the manifest has %d layers and the config %d", len(m.Layers), len(c.RootFS.DiffIDs))
	}
	return Image{ID: id, Config: c, Layers: c.RootFS.DiffIDs}, nil
}

// All returns the images, with their names, in the order of their IDs; also
// those that no name points at any more. What can be read is returned even when
// something cannot: the error then joins one cause for each file.
func (i *Images) All() ([]Image, error) {
	records, err := i.records()
	names := make(map[oci.Digest][]oci.Reference)
	for _, r := range records {
		names[r.Manifest] = append(names[r.Manifest], r.Name)
	}
	unnamed, err2 := i.unnamed(names)
	errs := []error{err, err2}
	for _, manifest := range unnamed {
		names[manifest] = nil
	}
	var images []Image
	for manifest, refs := range names {
		img, err := i.load(manifest)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		img.Names = refs
		images = append(images, img)
	}
	slices.SortFunc(images, compare)
	return images, errors.Join(errs...)
}

func compare(a, b Image) int {
	return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Manifest, b.Manifest))
}

// unnamed finds the manifests among the blobs that no name points at. Which blob
// is a manifest only its content tells; one that is not is a config, or rubbish
// that Sweep removes.
func (i *Images) unnamed(named map[oci.Digest][]oci.Reference) (manifests []oci.Digest, err error) {
	blobs, err := i.blobs()
	for _, digest := range blobs {
		if _, ok := named[digest]; ok {
			continue
		}
		if _, err := i.manifest(digest); err == nil {
			manifests = append(manifests, digest)
		}
	}
	return manifests, err
}
