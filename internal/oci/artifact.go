// SPDX-License-Identifier: Apache-2.0

package oci

// Artifact is the type of what the manifest describes if that is something else
// than an image, which has no root filesystem: a chart, a signature, a list of
// parts. It is "" for an image (image-spec, manifest.md, "Guidelines for Artifact
// Usage").
func (m Manifest) Artifact() string {
	switch m.Config.MediaType {
	case MediaTypeConfig, MediaTypeDockerConfig:
		return ""
	case "", "application/octet-stream": // what the first manifests of Docker's schema 2 have
		if m.ArtifactType == "" {
			return ""
		}
	}
	if m.ArtifactType != "" {
		return m.ArtifactType
	}
	return m.Config.MediaType
}
