// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"testing"

	"strata/internal/oci"
)

// An image that was pulled by a digest is found by it, also where that is an
// index's, and is not swept.
func TestPulledByDigest(t *testing.T) {
	images, _ := newImages(t)
	img := add(t, images, "a")
	manifest, err := images.Blob(img.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := images.Blob(img.ID)
	if err != nil {
		t.Fatal(err)
	}
	index := oci.FromBytes([]byte("an index"))
	for _, digest := range []oci.Digest{index, img.Manifest} {
		if _, err := images.Import(manifest, config, ref(t, "debian:12@"+digest.String())); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"debian@", "debian:13@"} {
			got, err := images.Resolve(name + digest.String())
			if err != nil {
				t.Fatal(err)
			}
			want(t, "image", got.ID, img.ID)
			want(t, "names", got.Names, "[docker.io/library/debian@"+digest.String()+"]")
		}
	}
	_, err = images.Resolve("other@" + index.String())
	wantError(t, err, "no such image")
	if _, err := images.Sweep(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := images.Resolve("debian@" + index.String()); err != nil {
		t.Error(err)
	}
	if err := images.Untag(ref(t, "debian@"+index.String())); err != nil {
		t.Error(err)
	}
	_, err = images.Resolve("debian@" + index.String())
	wantError(t, err, "no such image")
}
