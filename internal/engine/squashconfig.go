// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"fmt"

	"strata/internal/image"
	"strata/internal/oci"
	"strata/internal/store"
)

// addSquashed stores an image like img with l in place of its layers from one on.
// The caller holds the store's shared lock.
func (e *Engine) addSquashed(img image.Image, from int, l store.Layer, ref oci.Reference, o SquashOptions) (image.Image, error) {
	var layers []oci.Descriptor
	for _, id := range img.Layers[:from] {
		kept, err := e.store.Layer(id)
		if err != nil {
			return image.Image{}, err
		}
		layers = append(layers, kept.Descriptor())
	}
	received, err := e.images.Blob(img.ID)
	if err != nil {
		return image.Image{}, err
	}
	config, err := squashedConfig(received, img, from, l.DiffID, o.Message)
	if err != nil {
		return image.Image{}, err
	}
	squashed, err := e.images.AddConfig(config, append(layers, l.Descriptor()))
	if err != nil || ref.Repository == "" {
		return squashed, err
	}
	return squashed, e.images.Tag(squashed, ref)
}

// squashedConfig is the document of img's config with other layers, and a history
// that tells how that came to be. Fields that nobody here knows are kept.
func squashedConfig(document []byte, img image.Image, from int, squashed oci.Digest, message string) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(document, &fields); err != nil {
		return nil, fmt.Errorf("read config %s: %w", img.ID, err)
	}
	created := img.Config.Created
	if t, err := epoch(); err != nil {
		return nil, err
	} else if t != nil {
		created = t
	}
	step := oci.History{
		Created: created, Comment: message,
		CreatedBy: "squash " + layerRange(img.Layers[from:]),
	}
	changed := map[string]any{
		"rootfs":  oci.RootFS{Type: "layers", DiffIDs: append(img.Layers[:from:from], squashed)},
		"history": append(squashedHistory(img, from), step),
	}
	if created != nil {
		changed["created"] = created
	}
	for name, value := range changed {
		data, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fields[name] = data
	}
	return json.Marshal(fields) // sorted by name: equal images give equal bytes
}

// squashedHistory is the history of img in which the steps whose layers are
// flattened have none. A history names all layers or none, so one without steps
// gets some for the layers that stay.
func squashedHistory(img image.Image, from int) []oci.History {
	if len(img.Config.History) == 0 {
		return make([]oci.History, from)
	}
	var history []oci.History
	layers := 0
	for _, step := range img.Config.History {
		if !step.EmptyLayer {
			step.EmptyLayer = layers >= from
			layers++
		}
		history = append(history, step)
	}
	return history
}

// layerRange names layers by the oldest and the newest, and says how many.
func layerRange(layers []oci.Digest) string {
	oldest, newest := layers[0].Short(), layers[len(layers)-1].Short()
	if len(layers) == 1 {
		return oldest
	}
	return fmt.Sprintf("%s..%s (%d layers)", oldest, newest, len(layers))
}
