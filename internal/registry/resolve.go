// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"strata/internal/oci"
)

const (
	maxNesting   = 8  // of indexes
	maxDocuments = 64 // that are read to find one manifest
)

// Resolved is what a reference stands for on a platform.
type Resolved struct {
	Digest   oci.Digest // of what the reference names: the manifest, or an index
	Manifest Document
}

// A PlatformError says that an index has nothing for a platform.
type PlatformError struct {
	Want oci.Platform
	Has  []oci.Platform
}

func (e *PlatformError) Error() string {
	var has []string
	for _, p := range e.Has {
		if text := printable(p.String()); !slices.Contains(has, text) && p.OS != "unknown" {
			has = append(has, text)
		}
	}
	if len(has) == 0 {
		return fmt.Sprintf("there is no image for %s", e.Want)
	}
	const most = 20
	if len(has) > most {
		has = append(has[:most], "…")
	}
	return fmt.Sprintf("there is no image for %s, only for %s; choose with --platform", e.Want, strings.Join(has, ", "))
}

// Resolve finds the manifest that ref stands for on a platform, through indexes
// and those within them. All but the first document are asked for by digest: a
// tag that moves meanwhile mixes nothing.
func (r *Repository) Resolve(ctx context.Context, ref oci.Reference, want oci.Platform) (Resolved, error) {
	d, err := r.Manifest(ctx, ref)
	if err != nil {
		return Resolved{}, err
	}
	found := Resolved{Digest: d.Digest}
	s := search{repository: r, want: want}
	if found.Manifest, err = s.in(ctx, d, 0); err != nil {
		return Resolved{}, fmt.Errorf("manifest %s: %w", tagOrDigest(ref), err)
	}
	return found, nil
}

// A search goes through nested indexes.
type search struct {
	repository *Repository
	want       oci.Platform
	has        []oci.Platform // what was passed over
	documents  int
}

// in returns d if it is a manifest, or the first in an index that matches.
func (s *search) in(ctx context.Context, d Document, depth int) (Document, error) {
	if !d.IsIndex() {
		_, err := oci.ParseManifest(d.Data)
		return d, err
	}
	index, err := oci.ParseIndex(d.Data)
	if err != nil {
		return Document{}, err
	}
	for _, entry := range index.Manifests {
		if !s.fits(entry) {
			continue
		}
		found, err := s.follow(ctx, entry, depth)
		var none *PlatformError
		if isIndex(entry.MediaType) && errors.As(err, &none) {
			continue // what it has is in s.has
		}
		return found, err
	}
	return Document{}, &PlatformError{s.want, s.has}
}

// fits reports whether an entry of an index may be what is looked for. Media
// types that nobody here knows are passed over (image-spec, image-index.md).
func (s *search) fits(entry oci.Descriptor) bool {
	switch {
	case isIndex(entry.MediaType):
		return entry.Platform == nil || entry.Platform.Matches(s.want)
	case !isManifest(entry.MediaType) || entry.Platform == nil:
		return false
	case entry.Platform.Matches(s.want):
		return true
	}
	s.has = append(s.has, *entry.Platform)
	return false
}

func (s *search) follow(ctx context.Context, entry oci.Descriptor, depth int) (Document, error) {
	if s.documents++; s.documents > maxDocuments || depth >= maxNesting {
		return Document{}, errors.New("its indexes are nested too deeply")
	}
	d, err := s.repository.Manifest(ctx, oci.Reference{Digest: entry.Digest})
	if err != nil {
		return Document{}, err
	}
	if int64(len(d.Data)) != entry.Size {
		return Document{}, fmt.Errorf("%s has %d bytes, and not %d as the index says", d.Digest, len(d.Data), entry.Size)
	}
	if d.MediaType != entry.MediaType {
		return Document{}, fmt.Errorf("%s is %s, and not %s as the index says (CVE-2021-41190)", d.Digest, d.MediaType, entry.MediaType)
	}
	return s.in(ctx, d, depth+1)
}

// Config gets the config of an image.
func (r *Repository) Config(ctx context.Context, m oci.Manifest) ([]byte, error) {
	if m.Config.Size > oci.MaxDocument {
		return nil, fmt.Errorf("config %s: %d bytes, more than the %d allowed", m.Config.Digest, m.Config.Size, oci.MaxDocument)
	}
	blob, err := r.Layer(ctx, m.Config)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	data, err := io.ReadAll(blob)
	if err != nil {
		return nil, err
	}
	if got := oci.FromBytes(data); got != m.Config.Digest {
		return nil, fmt.Errorf("config %s: what the registry sends has the digest %s", m.Config.Digest, got)
	}
	return data, nil
}
