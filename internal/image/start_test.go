// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strata/internal/image"
	"strata/internal/oci"
)

// full is an image whose config has every kind of field.
func full(t *testing.T, images *image.Images, name string) image.Image {
	t.Helper()
	layer := oci.Descriptor{MediaType: oci.MediaTypeLayer, Digest: oci.FromBytes([]byte(name)), Size: 10}
	config := oci.ImageConfig{Config: oci.Config{
		User: "1000:1000", Env: []string{"A=b", "EMPTY="}, Entrypoint: []string{"/init", ""}, Cmd: []string{"x", "y z"},
		WorkingDir: "/srv", Labels: map[string]string{"k": "v", "empty": ""}, StopSignal: "SIGINT",
		ExposedPorts: map[string]struct{}{"80/tcp": {}}, Healthcheck: &oci.Healthcheck{Test: []string{"NONE"}, Interval: time.Second},
	}}.Append(layer.Digest, oci.History{CreatedBy: name})
	img, err := images.Add(config, []oci.Descriptor{layer})
	if err != nil {
		t.Fatal(err)
	}
	if err := images.Tag(img, ref(t, name)); err != nil {
		t.Fatal(err)
	}
	return img
}

func start(t *testing.T, images *image.Images, name string) image.Start {
	t.Helper()
	s, err := images.Start(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStartIsTheSameFromItsCache(t *testing.T) {
	images, root := newImages(t)
	img := full(t, images, "app:1")
	want := image.Start{ID: img.ID, Manifest: img.Manifest, Layers: img.Layers, Config: img.Config.Config}
	for _, name := range []string{"app:1", "app:1", "docker.io/library/app:1", string(img.ID), img.ID.Short()} {
		if diff := cmp.Diff(want, start(t, images, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// That the second came from the cache shows without the documents.
	if err := os.RemoveAll(filepath.Join(root, "blobs/sha256", img.ID.Hex())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, start(t, images, "app:1")); diff != "" {
		t.Errorf("without the config (-want +got):\n%s", diff)
	}
}

func TestStartFollowsTheName(t *testing.T) {
	images, _ := newImages(t)
	full(t, images, "app")
	start(t, images, "app")
	other := add(t, images, "another", "app")
	if got := start(t, images, "app"); got.ID != other.ID {
		t.Errorf("after the name moved: image %s, want %s", got.ID, other.ID)
	}
}

// Whatever is wrong with the cache, the documents are read.
func TestStartPassesOverADamagedCache(t *testing.T) {
	images, root := newImages(t)
	img := full(t, images, "app")
	want := start(t, images, "app")
	path := filepath.Join(root, "starts", img.Manifest.Hex())
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := [][]byte{nil, good[:len(good)-1], append(good[:len(good):len(good)], 0), []byte("strata-start 2\n")}
	for i := range good {
		changed := append([]byte(nil), good...)
		changed[i] ^= 0x41
		damaged = append(damaged, changed)
	}
	for i, data := range damaged {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, start(t, images, "app")); diff != "" {
			t.Fatalf("damage %d (-want +got):\n%s", i, diff)
		}
		if mended, _ := os.ReadFile(path); string(mended) != string(good) {
			t.Fatalf("damage %d: the cache was not written again", i)
		}
	}
}

func TestSweepRemovesStarts(t *testing.T) {
	images, root := newImages(t)
	img := full(t, images, "app")
	start(t, images, "app")
	if err := images.Untag(ref(t, "app")); err != nil {
		t.Fatal(err)
	}
	if _, err := images.Sweep(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "starts", img.Manifest.Hex())); !os.IsNotExist(err) {
		t.Errorf("the cache of an image that is gone: %v", err)
	}
}
