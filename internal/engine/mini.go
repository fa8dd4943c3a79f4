// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"

	"strata/internal/image"
	"strata/internal/mini"
	"strata/internal/oci"
	"strata/internal/store"
)

const miniName = "docker.io/library/mini:latest"

func isMini(name string) bool {
	ref, err := oci.ParseReference(name)
	return err == nil && ref.WithDefaultTag().String() == miniName
}

// installMini writes the embedded image into the store. The caller holds the
// shared lock.
func (e *Engine) installMini() (img image.Image, err error) {
	archive, err := mini.Archive()
	if err != nil {
		return img, fmt.Errorf("image mini: %w", err)
	}
	defer archive.Close()
	ctx := context.Background()
	l, err := e.store.AddLayer(ctx, archive, store.ApplyOptions{})
	if err != nil {
		return img, e.spaceHint(err)
	}
	config, err := newConfig([]string{`CMD ["sh"]`, "LABEL org.opencontainers.image.title=mini"})
	if err != nil {
		return img, err
	}
	ref, err := oci.ParseReference(miniName)
	if err != nil {
		return img, err
	}
	step := oci.History{Created: config.Created, CreatedBy: "strata: the embedded image"}
	return e.addImage(config.Append(l.DiffID, step), []oci.Descriptor{l.Descriptor()}, ref)
}

// ErrNoMini is the cause where this binary has no embedded image.
var ErrNoMini = mini.ErrAbsent
