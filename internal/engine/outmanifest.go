// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/json"
	"strings"

	"strata/internal/oci"
)

// Manifest is the manifest of the image as it goes out: the document in the store
// where every layer goes out as it came, or else a new one that says what has
// changed. It waits for the layers that are compressed.
func (img *OutImage) Manifest(ctx context.Context) (document []byte, changed bool, err error) {
	m := img.manifest
	m.Layers = make([]oci.Descriptor, len(img.layers))
	for i, l := range img.layers {
		if m.Layers[i], err = img.Layer(ctx, i); err != nil {
			return nil, false, err
		}
		changed = changed || !l.unchanged
	}
	if !changed {
		return img.document, false, nil
	}
	if img.toOCI {
		m.MediaType, m.Config.MediaType = oci.MediaTypeManifest, oci.MediaTypeConfig
	}
	document, err = withUnknown(img.document, m)
	return document, true, err
}

// withUnknown marshals m, and adds the fields of the document it was parsed from
// that are not ours to understand.
func withUnknown(document []byte, m oci.Manifest) ([]byte, error) {
	known, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage // marshalled in the order of the names
	if err := json.Unmarshal(document, &fields); err != nil {
		return nil, err
	}
	for name := range fields {
		if isManifestField(name) {
			delete(fields, name)
		}
	}
	if len(fields) == 0 {
		return known, nil
	}
	rest, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	return append(append(known[:len(known)-1], ','), rest[1:]...), nil
}

// isManifestField compares as encoding/json does.
func isManifestField(name string) bool {
	for _, known := range []string{"schemaVersion", "mediaType", "artifactType", "config", "layers", "subject", "annotations"} {
		if strings.EqualFold(name, known) {
			return true
		}
	}
	return false
}

// mediaType is that of a layer made here, in the words of the image's manifest.
func (img *OutImage) mediaType(c oci.Compression) string {
	switch {
	case img.toOCI || !isDocker(img.manifest.MediaType):
		return ociLayer(c)
	case c == oci.Uncompressed:
		return oci.MediaTypeDockerLayer
	}
	return oci.MediaTypeDockerLayerGzip
}

func isDocker(mediaType string) bool { return mediaType == oci.MediaTypeDockerManifest }

func ociLayer(c oci.Compression) string {
	switch c {
	case oci.Gzip:
		return oci.MediaTypeLayerGzip
	case oci.Zstd:
		return oci.MediaTypeLayerZstd
	}
	return oci.MediaTypeLayer
}
