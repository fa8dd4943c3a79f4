// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
)

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

// HostPlatform is what this program runs on.
func HostPlatform() Platform { return Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH} }

// String is "linux/arm64/v8", as --platform takes it.
func (p Platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// ParsePlatform reads OS/ARCHITECTURE[/VARIANT] or ARCHITECTURE[/VARIANT], with
// the names that others have for Go's.
func ParsePlatform(s string) (Platform, error) {
	parts := strings.Split(strings.ToLower(s), "/")
	if _, known := architectures[parts[0]]; known {
		parts = append([]string{runtime.GOOS}, parts...)
	}
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return Platform{}, fmt.Errorf("platform %q: write OS/ARCHITECTURE[/VARIANT], as in linux/arm64/v8", s)
	}
	p := Platform{OS: parts[0], Architecture: parts[1]}
	if usual := architectures[p.Architecture]; usual.Architecture != "" {
		p.Architecture, p.Variant = usual.Architecture, usual.Variant
	}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}

// architectures are those that stand for a platform without their OS; those with
// a value are others' names for it.
var architectures = map[string]Platform{
	"386": {}, "amd64": {}, "arm": {}, "arm64": {}, "loong64": {}, "mips64le": {}, "ppc64le": {}, "riscv64": {}, "s390x": {},
	"i386": {Architecture: "386"}, "i686": {Architecture: "386"}, "x86_64": {Architecture: "amd64"}, "x86-64": {Architecture: "amd64"},
	"aarch64": {Architecture: "arm64"}, "armhf": {Architecture: "arm", Variant: "v7"}, "armel": {Architecture: "arm", Variant: "v6"},
}
