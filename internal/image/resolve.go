// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"strata/internal/oci"
	"strata/internal/spelling"
)

// UnknownError says that no image has a name or an ID, and which names are
// close to it.
type UnknownError struct {
	Name    string
	Nearest []string // the nearest first; none where nothing is close
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("image %s: no such image", e.Name) + spelling.Question(e.Nearest)
}

// Resolve finds an image by its reference, with the tag "latest" where there is
// none, or by its ID or manifest's digest, or by the first digits of one that
// belong to no other image. A reference costs the reading of three small files.
// The error for an image that is not there is an *UnknownError.
func (i *Images) Resolve(name string) (Image, error) {
	ref, err := oci.ParseReference(name)
	if err != nil {
		if _, ok := digits(name); ok {
			return i.byDigits(name)
		}
		return Image{}, err
	}
	if ref.Digest != "" {
		return i.byDigest(ref, name)
	}
	ref = ref.WithDefaultTag()
	manifest, err := i.named(ref)
	if errors.Is(err, os.ErrNotExist) {
		return i.byDigits(name)
	}
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", name, err)
	}
	return i.byReference(ref, manifest, name)
}

// byDigest finds what was pulled by that digest, or whatever has it: the digest
// says all, the name beside it is a comment.
func (i *Images) byDigest(ref oci.Reference, name string) (Image, error) {
	manifest, err := i.named(pinned(ref))
	if errors.Is(err, os.ErrNotExist) {
		return i.byReference(ref, ref.Digest, name)
	}
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", name, err)
	}
	img, err := i.byReference(ref, manifest, name)
	img.Names = []oci.Reference{pinned(ref)}
	return img, err
}

// byReference loads the manifest of a reference. A name whose manifest is gone
// is damage, not an unknown image.
func (i *Images) byReference(ref oci.Reference, manifest oci.Digest, name string) (Image, error) {
	img, err := i.load(manifest)
	switch {
	case err != nil && ref.Digest != "" && errors.Is(err, os.ErrNotExist):
		return Image{}, i.unknown(name)
	case err != nil:
		return Image{}, fmt.Errorf("image %s: %w", name, err)
	case ref.Digest == "":
		img.Names = []oci.Reference{ref}
	}
	return img, nil
}

// digits returns the hexadecimal digits of what may be a part of a digest.
func digits(name string) (string, bool) {
	name = strings.TrimPrefix(name, "sha256:")
	return name, name != "" && len(name) <= 64 && strings.Trim(name, "0123456789abcdef") == ""
}

func (i *Images) byDigits(name string) (Image, error) {
	prefix, ok := digits(name)
	if !ok {
		return Image{}, i.unknown(name)
	}
	if digest, err := oci.ParseDigest("sha256:" + prefix); err == nil {
		if img, err := i.load(digest); err == nil { // a manifest's: no need to look at all
			return img, nil
		}
	}
	images, err := i.All()
	if err != nil && len(images) == 0 {
		return Image{}, fmt.Errorf("image %s: %w", name, err)
	}
	images = slices.DeleteFunc(images, func(img Image) bool {
		return !strings.HasPrefix(img.ID.Hex(), prefix) && !strings.HasPrefix(img.Manifest.Hex(), prefix)
	})
	switch {
	case len(images) == 0:
		return Image{}, i.unknown(name)
	case images[0].ID != images[len(images)-1].ID: // sorted by ID
		return Image{}, fmt.Errorf("image %s: %d images begin with these digits", name, len(images))
	}
	return images[0], nil
}

func (i *Images) unknown(name string) error {
	records, _ := i.records() // an unreadable one is no suggestion
	var known []string
	for _, r := range records {
		known = append(known, strings.TrimSuffix(r.Name.Familiar(), ":"+oci.DefaultTag))
	}
	return &UnknownError{name, spelling.Nearest(name, known)}
}
