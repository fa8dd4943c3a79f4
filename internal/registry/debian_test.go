// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"strata/internal/dockerregistry"
	"strata/internal/oci"
)

// The same, with a registry that is not ours.
func TestDockerRegistry(t *testing.T) {
	if _, err := exec.LookPath(dockerregistry.Program); err != nil {
		t.Skipf("%s is missing (make deps installs it)", dockerregistry.Program)
	}
	server, err := dockerregistry.Start(t.TempDir(), dockerregistry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	client, _ := newTestClient(t, Options{})
	repository := func(name string) *Repository {
		r, err := client.Repository(oci.Reference{Domain: server.Address, Repository: name})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b := repository("team/a"), repository("b")
	data := content(2*chunkSize + 1234)

	// In chunks, as a whole, mounted, there.
	upload := func(r *Repository, c Content, existed, mounted bool) {
		t.Helper()
		done, err := r.Upload(t.Context(), c)
		if err != nil || done.Digest != oci.FromBytes(data) || done.Existed != existed || done.Mounted != mounted {
			t.Fatalf("got %+v, %v", done, err)
		}
	}
	upload(a, contentOf(data, false), false, false)
	upload(a, contentOf(data, true), true, false)
	mounted := contentOf(data, true)
	mounted.From = "team/a"
	upload(b, mounted, false, true)
	upload(repository("c"), contentOf(data, true), false, false)

	d := oci.Descriptor{Digest: oci.FromBytes(data), Size: int64(len(data))}
	if got, err := read(t.Context(), b, d); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	b.own().testRange(t, d, data)

	// Manifests, an index, tags and a subject.
	config := []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`)
	if _, err := a.Upload(t.Context(), contentOf(config, true)); err != nil {
		t.Fatal(err)
	}
	manifest := strings.NewReplacer(someDigest, string(oci.FromBytes(config)), `"size":2`, fmt.Sprint(`"size":`, len(config))).Replace(imageManifest)
	put := func(tag, mediaType, text string) oci.Descriptor {
		t.Helper()
		d := Document{mediaType, oci.FromBytes([]byte(text)), []byte(text)}
		if err := a.PutManifest(t.Context(), oci.Reference{Tag: tag}, d); err != nil {
			t.Fatal(err)
		}
		return oci.Descriptor{MediaType: mediaType, Digest: d.Digest, Size: int64(len(text))}
	}
	image := put("", oci.MediaTypeManifest, manifest)
	inner := put("", oci.MediaTypeIndex, index(entry(image, "linux/arm64")))
	outer := put("multi", oci.MediaTypeIndex, index(entry(inner, "")))
	for i := range 5 {
		put(fmt.Sprint("v", i), oci.MediaTypeManifest, manifest)
	}
	found, err := a.Resolve(t.Context(), oci.Reference{Tag: "multi"}, oci.Platform{OS: "linux", Architecture: "arm64"})
	if err != nil || found.Digest != outer.Digest || found.Manifest.Digest != image.Digest {
		t.Errorf("got %+v, %v", found, err)
	}
	if digest, err := a.Digest(t.Context(), oci.Reference{Tag: "multi"}); err != nil || digest != outer.Digest {
		t.Errorf("got %s, %v", digest, err)
	}
	put("", oci.MediaTypeManifest, strings.Replace(manifest, `"layers"`, `"subject":`+entry(image, "")+`,"layers"`, 1))
	referrers := "sha256-" + image.Digest.Hex()
	tags, err := a.Tags(t.Context())
	slices.Sort(tags)
	if want := []string{"multi", referrers, "v0", "v1", "v2", "v3", "v4"}; err != nil || !slices.Equal(tags, want) {
		t.Errorf("got tags %s, %v, want %s", tags, err, want)
	}
	_, err = a.Manifest(t.Context(), oci.Reference{Tag: "absent"})
	wantError(t, err, "manifest absent: "+server.Address+": 404 Not Found: manifest unknown")
	_, err = repository("nobody").Tags(t.Context())
	wantError(t, err, "404 Not Found: repository name not known to registry")
}

// testRange reads a blob from its middle, as after a broken connection.
func (e *endpoint) testRange(t *testing.T, d oci.Descriptor, data []byte) {
	t.Helper()
	b := &blob{ctx: t.Context(), endpoint: e, d: d, offset: 1000}
	if err := b.request(); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var rest bytes.Buffer
	if _, err := rest.ReadFrom(b); err != nil || !bytes.Equal(rest.Bytes(), data[1000:]) {
		t.Errorf("got %d bytes, %v", rest.Len(), err)
	}
}
