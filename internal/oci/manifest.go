// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Media types of the documents and layers that are read. Those with Docker's
// names describe the same bytes as their OCI counterparts.
const (
	MediaTypeManifest  = "application/vnd.oci.image.manifest.v1+json"
	MediaTypeIndex     = "application/vnd.oci.image.index.v1+json"
	MediaTypeConfig    = "application/vnd.oci.image.config.v1+json"
	MediaTypeLayer     = "application/vnd.oci.image.layer.v1.tar"
	MediaTypeLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip"
	MediaTypeLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd"

	MediaTypeDockerManifest  = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerIndex     = "application/vnd.docker.distribution.manifest.list.v2+json"
	MediaTypeDockerConfig    = "application/vnd.docker.container.image.v1+json"
	MediaTypeDockerLayer     = "application/vnd.docker.image.rootfs.diff.tar"
	MediaTypeDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// Non-distributable layers are read like any other and never produced
// (image-spec, layer.md#non-distributable-layers).
const (
	mediaTypeForeignLayer       = "application/vnd.oci.image.layer.nondistributable.v1.tar"
	mediaTypeForeignLayerGzip   = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	mediaTypeForeignLayerZstd   = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
	mediaTypeDockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
)

// Descriptor points at a blob (image-spec, descriptor.md).
type Descriptor struct {
	MediaType    string            `json:"mediaType,omitempty"`
	Digest       Digest            `json:"digest"`
	Size         int64             `json:"size"` // bytes
	URLs         []string          `json:"urls,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Platform     *Platform         `json:"platform,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Data         []byte            `json:"data,omitempty"`
}

// Compression is how a layer's blob is compressed.
type Compression byte

const (
	Uncompressed Compression = iota
	Gzip
	Zstd
)

// Compression tells how the layer that d describes is compressed; the error
// names a media type that is no layer's.
func (d Descriptor) Compression() (Compression, error) {
	switch d.MediaType {
	case MediaTypeLayer, MediaTypeDockerLayer, mediaTypeForeignLayer:
		return Uncompressed, nil
	case MediaTypeLayerGzip, MediaTypeDockerLayerGzip, mediaTypeForeignLayerGzip, mediaTypeDockerForeignLayer:
		return Gzip, nil
	case MediaTypeLayerZstd, mediaTypeForeignLayerZstd:
		return Zstd, nil
	}
	return 0, fmt.Errorf("layer %s: unknown media type %q", d.Digest, d.MediaType)
}

// check refuses what would make a size or a path of nonsense.
func (d Descriptor) check() error {
	if d.Digest == "" {
		return errNoDigest
	}
	if d.Size < 0 {
		return fmt.Errorf("%s: negative size %d", d.Digest, d.Size)
	}
	return nil
}

// Manifest names the config and the layers of an image (image-spec,
// manifest.md). Layers are oldest first.
type Manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        Descriptor        `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Subject       *Descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// NewManifest describes an image of the given config document and layers,
// oldest first.
func NewManifest(config []byte, layers []Descriptor) Manifest {
	return Manifest{
		SchemaVersion: 2,
		MediaType:     MediaTypeManifest,
		Config:        Descriptor{MediaType: MediaTypeConfig, Digest: FromBytes(config), Size: int64(len(config))},
		Layers:        append([]Descriptor{}, layers...), // never null: image-spec, manifest.md
	}
}

// Index lists manifests, usually one for each platform (image-spec,
// image-index.md).
type Index struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Manifests     []Descriptor      `json:"manifests"`
	Subject       *Descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// shape shows which kind of document JSON is, before it is parsed as one.
type shape struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	Config        json.RawMessage `json:"config"`
	Layers        json.RawMessage `json:"layers"`
	Manifests     json.RawMessage `json:"manifests"`
	FSLayers      json.RawMessage `json:"fsLayers"`
}

// checkShape refuses a document that one reader may take for a manifest and
// another for an index, and one whose mediaType says otherwise (CVE-2021-41190).
func checkShape(document string, data []byte, mediaTypes ...string) error {
	var s shape
	if err := decode(document, data, &s); err != nil {
		return err
	}
	isManifest, isIndex := s.Config != nil || s.Layers != nil, s.Manifests != nil
	switch {
	case s.FSLayers != nil || s.SchemaVersion == 1:
		return malformed(document, "schema version 1 is not supported: push the image again with a current tool")
	case s.SchemaVersion != 2:
		return malformed(document, "schema version %d, not 2", s.SchemaVersion)
	case isManifest && isIndex:
		return malformed(document, "it is both a manifest and an index (CVE-2021-41190)")
	case isManifest != (document == "manifest") || isIndex != (document == "index"):
		return malformed(document, "it is not %s %s", article(document), document)
	case s.MediaType != "" && !slices.Contains(mediaTypes, s.MediaType):
		return malformed(document, "media type %q", s.MediaType)
	}
	return nil
}

func article(noun string) string {
	if noun == "index" {
		return "an"
	}
	return "a"
}

// ParseManifest parses an image manifest, of OCI's or Docker's media type.
func ParseManifest(data []byte) (Manifest, error) {
	const document = "manifest"
	if err := checkShape(document, data, MediaTypeManifest, MediaTypeDockerManifest); err != nil {
		return Manifest{}, err
	}
	var m Manifest
	if err := decode(document, data, &m); err != nil {
		return Manifest{}, err
	}
	if err := m.Config.check(); err != nil {
		return Manifest{}, malformed(document, "config: %w", err)
	}
	if err := checkAll(document, "layer", m.Layers); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// ParseIndex parses an image index or Docker's manifest list. Media types that
// nobody here knows are left for the caller to pass over.
func ParseIndex(data []byte) (Index, error) {
	const document = "index"
	if err := checkShape(document, data, MediaTypeIndex, MediaTypeDockerIndex); err != nil {
		return Index{}, err
	}
	var index Index
	if err := decode(document, data, &index); err != nil {
		return Index{}, err
	}
	return index, checkAll(document, "manifest", index.Manifests)
}

func checkAll(document, what string, descriptors []Descriptor) error {
	for i, d := range descriptors {
		if err := d.check(); err != nil {
			return malformed(document, "%s %d: %w", what, i+1, err)
		}
	}
	return nil
}
