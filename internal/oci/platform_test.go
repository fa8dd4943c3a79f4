// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"runtime"
	"testing"

	"strata/internal/oci"
)

func TestParsePlatform(t *testing.T) {
	for s, want := range map[string]string{
		"linux/arm64": "linux/arm64", "linux/arm64/v8": "linux/arm64/v8", "linux/arm/v7": "linux/arm/v7",
		"arm64": runtime.GOOS + "/arm64", "arm/v6": runtime.GOOS + "/arm/v6", "Linux/AMD64": "linux/amd64",
		"linux/x86_64": "linux/amd64", "aarch64": runtime.GOOS + "/arm64", "linux/armhf": "linux/arm/v7", "windows/amd64": "windows/amd64",
		"": "", "linux": "", "linux/": "", "/arm64": "", "linux/arm/v7/x": "", "nonsense": "",
	} {
		p, err := oci.ParsePlatform(s)
		if err != nil && want != "" || err == nil && p.String() != want {
			t.Errorf("%q: got %s, %v, want %q", s, p, err, want)
		}
	}
}

func TestArtifact(t *testing.T) {
	manifest := func(config, artifact string) oci.Manifest {
		return oci.Manifest{ArtifactType: artifact, Config: oci.Descriptor{MediaType: config}}
	}
	for _, c := range []struct {
		m    oci.Manifest
		want string
	}{
		{manifest(oci.MediaTypeConfig, ""), ""},
		{manifest(oci.MediaTypeConfig, "application/x"), ""},
		{manifest(oci.MediaTypeDockerConfig, ""), ""},
		{manifest("application/octet-stream", ""), ""},
		{manifest("application/vnd.cncf.helm.config.v1+json", ""), "application/vnd.cncf.helm.config.v1+json"},
		{manifest("application/vnd.oci.empty.v1+json", "application/x"), "application/x"},
		{manifest("application/vnd.docker.plugin.v1+json", ""), "application/vnd.docker.plugin.v1+json"},
	} {
		if got := c.m.Artifact(); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.m, got, c.want)
		}
	}
}
