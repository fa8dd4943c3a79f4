// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strata/internal/image"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/spelling"
)

func newImages(t testing.TB) (*image.Images, string) {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"blobs/sha256", "names", "starts"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := linux.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return image.Open(dir), root
}

// add stores an image of one layer that differs by its name.
func add(t testing.TB, images *image.Images, author string, names ...string) image.Image {
	t.Helper()
	layer := oci.Descriptor{MediaType: oci.MediaTypeLayer, Digest: oci.FromBytes([]byte(author)), Size: 10}
	config := oci.ImageConfig{Author: author}.Append(layer.Digest, oci.History{CreatedBy: author})
	img, err := images.Add(config, []oci.Descriptor{layer})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := images.Tag(img, ref(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

func ref(t testing.TB, name string) oci.Reference {
	t.Helper()
	r, err := oci.ParseReference(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want one with %q", err, part)
		}
	}
}

func TestResolve(t *testing.T) {
	images, _ := newImages(t)
	img := add(t, images, "one", "debian:12", "debian")
	other := add(t, images, "two", "localhost:5000/a/b:x")
	for name, id := range map[string]oci.Digest{
		"debian:12": img.ID, "debian": img.ID, "debian:latest": img.ID, "docker.io/library/debian:12": img.ID,
		"localhost:5000/a/b:x": other.ID,
		img.ID.String():        img.ID, img.ID.Hex(): img.ID, img.ID.Short(): img.ID, other.ID.Hex()[:8]: other.ID,
		img.Manifest.Hex()[:12]: img.ID, "debian@" + img.Manifest.String(): img.ID, "sha256:" + other.ID.Hex()[:20]: other.ID,
	} {
		got, err := images.Resolve(name)
		if err != nil || got.ID != id {
			t.Errorf("%s: got %s, %v, want %s", name, got.ID, err, id)
		}
	}
	got, err := images.Resolve("debian:12")
	img.Names = []oci.Reference{ref(t, "debian:12")}
	if diff := cmp.Diff(img, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	want(t, "layers", got.Layers, []oci.Digest{oci.FromBytes([]byte("one"))})
}

func TestResolveUnknown(t *testing.T) {
	images, _ := newImages(t)
	add(t, images, "one", "debian:12", "debian:11", "nginx", "ghcr.io/acme/server:v1", "alpine")
	for name, nearest := range map[string]string{
		"debain":                              "[debian:11 debian:12]",
		"debian:13":                           "[debian:11 debian:12]",
		"debian":                              "[debian:11 debian:12]",
		"ngnix":                               "[nginx]",
		"ghcr.io/acme/serer:v1":               "[ghcr.io/acme/server:v1]",
		"alpin:latest":                        "[alpine]",
		"something":                           "[]",
		"0000000000":                          "[]",
		"x@sha256:" + strings.Repeat("0", 64): "[]",
	} {
		_, err := images.Resolve(name)
		var unknown *image.UnknownError
		if !errors.As(err, &unknown) {
			t.Errorf("%s: error %v, want an UnknownError", name, err)
			continue
		}
		want(t, name, unknown.Name, name)
		want(t, name, unknown.Nearest, nearest)
		want(t, name, err, "image "+name+": no such image"+spelling.Question(unknown.Nearest))
	}
	_, err := images.Resolve("Debian")
	wantError(t, err, `reference "Debian": `, "lower case")
}

func TestAmbiguousPrefix(t *testing.T) {
	images, _ := newImages(t)
	first := make(map[byte]int)
	for i := range 17 { // more than there are digits
		first[add(t, images, fmt.Sprint(i)).ID.Hex()[0]]++
	}
	for digit, n := range first {
		if n > 1 {
			_, err := images.Resolve(string(digit))
			wantError(t, err, "image "+string(digit)+": ", "images begin with these digits")
			return
		}
	}
	t.Error("no two IDs begin with the same digit")
}

// Two manifests of one config are one image to whoever asks for its ID.
func TestPrefixOfOneConfigInTwoManifests(t *testing.T) {
	images, _ := newImages(t)
	img := add(t, images, "one")
	config, err := images.Blob(img.ID)
	want(t, "config", err, nil)
	layer := oci.Descriptor{MediaType: oci.MediaTypeLayerGzip, Digest: oci.FromBytes([]byte("gz")), Size: 5}
	second, err := images.AddConfig(config, []oci.Descriptor{layer})
	want(t, "second", fmt.Sprint(err, second.ID == img.ID, second.Manifest == img.Manifest), "<nil> true false")
	got, err := images.Resolve(img.ID.Short())
	want(t, "resolved", fmt.Sprint(got.ID, err), fmt.Sprint(img.ID, nil))
}

func TestTagMoves(t *testing.T) {
	images, root := newImages(t)
	one, two := add(t, images, "one", "app"), add(t, images, "two")
	want(t, "tag", images.Tag(two, ref(t, "app:latest")), nil)
	got, err := images.Resolve("app")
	want(t, "moved", fmt.Sprint(got.ID, err), fmt.Sprint(two.ID, nil))
	all, err := images.All()
	want(t, "images", fmt.Sprint(len(all), err), "2 <nil>")
	for _, img := range all {
		want(t, "names of "+img.Config.Author, len(img.Names), map[oci.Digest]int{one.ID: 0, two.ID: 1}[img.ID])
	}
	files, _ := os.ReadDir(root + "/names")
	want(t, "files", len(files), 1)
	wantError(t, images.Tag(one, ref(t, "app@"+one.Manifest.String())), "tag app@sha256:", "cannot be given")
}

func TestUntag(t *testing.T) {
	images, _ := newImages(t)
	img := add(t, images, "one", "app", "app:2")
	want(t, "untag", images.Untag(ref(t, "app")), nil)
	_, err := images.Resolve("app")
	wantError(t, err, "no such image")
	got, err := images.Resolve("app:2")
	want(t, "the other name", fmt.Sprint(got.ID, err), fmt.Sprint(img.ID, nil))
	var unknown *image.UnknownError
	if err := images.Untag(ref(t, "app")); !errors.As(err, &unknown) {
		t.Errorf("error %v, want an UnknownError", err)
	}
	want(t, "untag", images.Untag(ref(t, "app:2")), nil)
	got, err = images.Resolve(img.ID.Short())
	want(t, "by ID", fmt.Sprint(got.ID, len(got.Names), err), fmt.Sprint(img.ID, 0, nil))
}

func TestImportKeepsTheBytes(t *testing.T) {
	images, _ := newImages(t)
	config := []byte(` {"rootfs":{"type":"layers","diff_ids":[]}, "unknown": 1}` + "\n")
	m, err := json.MarshalIndent(oci.NewManifest(config, nil), "", "   ")
	want(t, "manifest", err, nil)
	img, err := images.Import(m, config)
	want(t, "import", err, nil)
	for digest, data := range map[oci.Digest][]byte{img.ID: config, img.Manifest: m} {
		got, err := images.Blob(digest)
		want(t, "blob", fmt.Sprint(string(got), err), fmt.Sprint(string(data), nil))
		want(t, "digest", oci.FromBytes(data), digest)
	}
}

func TestImportRefuses(t *testing.T) {
	images, root := newImages(t)
	config := []byte(`{"rootfs":{"type":"layers","diff_ids":["` + oci.FromBytes(nil).String() + `"]}}`)
	good := oci.NewManifest(config, []oci.Descriptor{{Digest: oci.FromBytes(nil)}})
	for name, c := range map[string]struct {
		change func(*oci.Manifest)
		want   string
	}{
		"size before digest": {func(m *oci.Manifest) { m.Config.Size++; m.Config.Digest = oci.FromBytes(nil) }, "config: 115 bytes, the manifest says 116"},
		"digest":             {func(m *oci.Manifest) { m.Config.Digest = oci.FromBytes(nil) }, "config: digest sha256:"},
		"fewer diffIDs":      {func(m *oci.Manifest) { m.Layers = append(m.Layers, m.Layers[0]) }, "the manifest has 2 layers and the config 1"},
		"fewer layers":       {func(m *oci.Manifest) { m.Layers = nil }, "the manifest has 0 layers and the config 1"},
	} {
		t.Run(name, func(t *testing.T) {
			m := good
			c.change(&m)
			data, err := json.Marshal(m)
			want(t, "marshal", err, nil)
			_, err = images.Import(data, config)
			wantError(t, err, "add image "+oci.FromBytes(data).String()+": ", c.want)
		})
	}
	files, _ := os.ReadDir(root + "/blobs/sha256")
	want(t, "blobs", len(files), 0)
	data, _ := json.Marshal(good)
	_, err := images.Import(data, config)
	want(t, "the good one", err, nil)
}

// A blob that a crash emptied is written again, and until then is an error that
// names it (moby#49784).
func TestDamagedBlobIsReplaced(t *testing.T) {
	images, root := newImages(t)
	img := add(t, images, "one", "app")
	for _, digest := range []oci.Digest{img.ID, img.Manifest} {
		path := root + "/blobs/sha256/" + digest.Hex()
		want(t, "empty it", os.Truncate(path, 0), nil)
		_, err := images.Resolve("app")
		wantError(t, err, "image app: ", path+": the content has the digest")
		add(t, images, "one")
		_, err = images.Resolve("app")
		want(t, "again", err, nil)
		want(t, "remove it", os.Remove(path), nil)
		_, err = images.Resolve("app")
		wantError(t, err, "image app: ", path+": no such file")
		var unknown *image.UnknownError
		want(t, "taken for unknown", errors.As(err, &unknown), false)
		add(t, images, "one")
	}
}

func TestAllGoesOn(t *testing.T) {
	images, root := newImages(t)
	good, bad := add(t, images, "good", "good"), add(t, images, "bad", "bad")
	file := root + "/names/" + strings.Repeat("0", 64) + ".json"
	err := errors.Join(
		os.Remove(root+"/blobs/sha256/"+bad.ID.Hex()),
		os.WriteFile(file, []byte("{"), 0o600),
		os.WriteFile(root+"/names/.tmp-0123456789abcdef", []byte("{"), 0o600),
		os.WriteFile(root+"/blobs/sha256/readme", nil, 0o600),
	)
	want(t, "spoil", err, nil)
	all, err := images.All()
	want(t, "images", len(all), 1)
	want(t, "image", all[0].ID, good.ID)
	wantError(t, err, file+": unexpected end", "config of manifest "+bad.Manifest.String(), "/blobs/sha256/readme: digest")
	if strings.Contains(err.Error(), ".tmp-") {
		t.Errorf("what a killed write left is reported: %v", err)
	}
}

func TestSweep(t *testing.T) {
	images, root := newImages(t)
	named, kept, garbage := add(t, images, "named", "app"), add(t, images, "kept"), add(t, images, "garbage")
	for _, name := range []string{"names", "blobs/sha256"} {
		want(t, "leave", os.WriteFile(root+"/"+name+"/.tmp-0123456789abcdef", []byte("xx"), 0o600), nil)
	}
	size := func(digest oci.Digest) int {
		data, _ := images.Blob(digest)
		return len(data)
	}
	bytes := size(garbage.ID) + size(garbage.Manifest) + 4
	swept, err := images.Sweep(map[oci.Digest]bool{kept.Manifest: true})
	want(t, "swept", fmt.Sprint(swept, err), fmt.Sprint(image.Swept{Blobs: 4, Bytes: int64(bytes)}, nil))
	all, err := images.All()
	want(t, "left", fmt.Sprint(len(all), err), "2 <nil>")
	got, err := images.Resolve("app")
	want(t, "named", fmt.Sprint(got.ID, err), fmt.Sprint(named.ID, nil))
	files, _ := os.ReadDir(root + "/blobs/sha256")
	want(t, "blobs", len(files), 4)
}

func TestSweepThatCannotKnowRemovesNothing(t *testing.T) {
	for name, spoil := range map[string]func(root string, img image.Image) error{
		"a damaged record": func(root string, _ image.Image) error {
			return os.WriteFile(root+"/names/"+strings.Repeat("0", 64)+".json", nil, 0o600)
		},
		"a damaged manifest": func(root string, img image.Image) error {
			return os.Truncate(root+"/blobs/sha256/"+img.Manifest.Hex(), 10)
		},
	} {
		t.Run(name, func(t *testing.T) {
			images, root := newImages(t)
			img := add(t, images, "named", "app")
			add(t, images, "garbage")
			want(t, "spoil", spoil(root, img), nil)
			swept, err := images.Sweep(nil)
			want(t, "swept", swept, image.Swept{})
			wantError(t, err, "sweep images: ")
			files, _ := os.ReadDir(root + "/blobs/sha256")
			want(t, "blobs", len(files), 4)
		})
	}
}

func TestManyWritersOfOneName(t *testing.T) {
	images, _ := newImages(t)
	var all sync.WaitGroup
	for i := range 8 {
		img := add(t, images, fmt.Sprint(i))
		all.Go(func() {
			for range 5 {
				want(t, "tag", images.Tag(img, ref(t, "app")), nil)
				_, err := images.Resolve("app")
				want(t, "resolve", err, nil)
			}
		})
	}
	all.Wait()
	records, err := images.All()
	want(t, "images", fmt.Sprint(len(records), err), "8 <nil>")
}
