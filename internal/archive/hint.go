// SPDX-License-Identifier: Apache-2.0

package archive

import "strata/internal/oci"

// hints are the diffIDs that documents of a stream say layers have that are still
// to come: who has such a layer need not read the blob. Nothing is believed for
// it; the documents are compared with their digests at the end.
type hints struct {
	diffIDs map[string]oci.Digest // of members
	waiting map[string][]string   // from configs that have not come to their manifests
	left    int                   // bytes that may still be parsed
}

// maxHints bounds the documents that are parsed for hints, in bytes.
const maxHints = 16 << 20

func newHints() *hints {
	return &hints{make(map[string]oci.Digest), make(map[string][]string), maxHints}
}

// parse is the document called name, if there is one and it may be parsed.
func (h *hints) parse(name string, documents map[string][]byte) []byte {
	data := documents[name]
	if h.left -= len(data); h.left < 0 {
		return nil
	}
	return data
}

// learn takes what the document called name adds to those that have come.
func (h *hints) learn(name string, documents map[string][]byte) {
	if name == dockerName {
		h.learnDocker(documents)
		return
	}
	if m, err := oci.ParseManifest(h.parse(name, documents)); err == nil {
		config := blobName(m.Config.Digest)
		if documents[config] == nil {
			h.waiting[config] = append(h.waiting[config], name)
			return
		}
		h.join(m, config, documents)
	}
	waiting := h.waiting[name]
	delete(h.waiting, name)
	for _, manifest := range waiting {
		if m, err := oci.ParseManifest(h.parse(manifest, documents)); err == nil {
			h.join(m, name, documents)
		}
	}
}

func (h *hints) join(m oci.Manifest, config string, documents map[string][]byte) {
	c, err := oci.ParseConfig(h.parse(config, documents))
	if err != nil || len(c.RootFS.DiffIDs) != len(m.Layers) {
		return
	}
	for i, d := range m.Layers {
		h.diffIDs[blobName(d.Digest)] = c.RootFS.DiffIDs[i]
	}
}

func (h *hints) learnDocker(documents map[string][]byte) {
	images, err := parseDocker(h.parse(dockerName, documents))
	if err != nil {
		return
	}
	for _, img := range images {
		c, err := oci.ParseConfig(h.parse(clean(img.Config), documents))
		if err != nil || len(c.RootFS.DiffIDs) != len(img.Layers) {
			continue
		}
		for i, name := range img.Layers {
			h.diffIDs[clean(name)] = c.RootFS.DiffIDs[i]
		}
	}
}
