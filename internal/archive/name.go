// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"strata/internal/oci"
)

// clean is the key of a member. It is looked up and never opened: one that leads
// out of the archive names nothing else.
func clean(name string) string { return path.Clean(name) }

// quote makes text of an archive fit to be shown: without control characters, and
// not longer than a line or two.
func quote(s string) string {
	const most = 200
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// references parses the names that an archive gives an image. A digest in one
// says nothing about this image, whose digest is known, and is left out; a name
// of nothing else is no name.
func references(names []string) (refs []oci.Reference, unusable []string) {
	for _, name := range names {
		ref, err := oci.ParseReference(name)
		if err != nil || ref.Digest != "" && ref.Tag == "" {
			unusable = append(unusable, name)
			continue
		}
		ref.Digest = ""
		refs = append(refs, ref.WithDefaultTag())
	}
	slices.SortFunc(refs, func(a, b oci.Reference) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(refs), unusable
}
