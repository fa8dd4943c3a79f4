// SPDX-License-Identifier: Apache-2.0

package oci

// Platform is what an image runs on, in Go's names (image-spec,
// image-index.md#platform-variants).
type Platform struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	OSVersion    string   `json:"os.version,omitempty"`
	OSFeatures   []string `json:"os.features,omitempty"`
	Variant      string   `json:"variant,omitempty"`
}

// Matches tells whether an image for p is one for want. A variant that want does
// not name is the architecture's usual one.
func (p Platform) Matches(want Platform) bool {
	return p.OS == want.OS && p.Architecture == want.Architecture && p.variant() == want.variant()
}

// variant is the one that is meant where none is named, as containerd has it.
func (p Platform) variant() string {
	switch {
	case p.Variant != "":
		return p.Variant
	case p.Architecture == "arm":
		return "v7"
	case p.Architecture == "arm64":
		return "v8"
	case p.Architecture == "amd64":
		return "v1"
	}
	return ""
}

// Select returns the first manifest of the index that is for the platform, as
// the specification asks (image-spec, image-index.md). A nested index has no
// platform of its own; the caller follows it when nothing else matches.
func (i Index) Select(want Platform) (Descriptor, bool) {
	for _, d := range i.Manifests {
		if d.Platform != nil && d.Platform.Matches(want) {
			return d, true
		}
	}
	return Descriptor{}, false
}
