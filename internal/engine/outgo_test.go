// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strata/internal/oci"
)

// standIn compresses, with gzip in zstd's place too.
func standIn(w io.Writer, c oci.Compression) (io.WriteCloser, error) {
	if c == oci.Gzip {
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	}
	return gzip.NewWriterLevel(w, gzip.HuffmanOnly)
}

// takeIn stores an image under the name "made".
func takeIn(t *testing.T, e *Engine, m *madeImage) {
	t.Helper()
	in := newIntake(t, e, IntakeOptions{Decompress: maybeGunzip})
	check(t, in.Fetch(context.Background(), m, m.manifest, m.config))
	name, err := oci.ParseReference("made:latest")
	check(t, err)
	_, err = in.Add(m.manifest, m.config, name)
	check(t, err)
}

func maybeGunzip(r io.Reader) (io.ReadCloser, bool, error) {
	var head [2]byte
	n, err := io.ReadFull(r, head[:])
	whole := io.MultiReader(bytes.NewReader(head[:n]), r)
	if err == nil && head == [2]byte{0x1f, 0x8b} {
		return gunzip(whole)
	}
	return io.NopCloser(whole), false, nil
}

func newOutImage(t *testing.T, e *Engine, asked *oci.Compression) *OutImage {
	t.Helper()
	out, err := e.NewOutgo(OutgoOptions{Compression: asked, Compress: standIn})
	check(t, err)
	t.Cleanup(func() { check(t, out.Close()) })
	img, err := out.Image("made")
	check(t, err)
	return img
}

// written reads all that goes out, and compares each blob with its descriptor.
func written(t *testing.T, img *OutImage) (m oci.Manifest, document []byte, changed bool) {
	t.Helper()
	ctx := context.Background()
	document, changed, err := img.Manifest(ctx)
	check(t, err)
	m, err = oci.ParseManifest(document)
	check(t, err)
	for i, d := range m.Layers {
		var blob bytes.Buffer
		check(t, img.WriteLayer(ctx, i, &blob))
		if got := oci.FromBytes(blob.Bytes()); got != d.Digest || int64(blob.Len()) != d.Size {
			t.Errorf("layer %d is %s of %d bytes, the manifest says %s of %d", i, got, blob.Len(), d.Digest, d.Size)
		}
		described, err := img.Layer(ctx, i)
		check(t, err)
		if diff := cmp.Diff(d, described); diff != "" {
			t.Errorf("layer %d (-manifest +layer):\n%s", i, diff)
		}
		if known := img.Descriptors()[i]; known.Digest != "" && known.Digest != d.Digest {
			t.Errorf("layer %d was said to be %s", i, known.Digest)
		}
	}
	return m, document, changed
}

func types(m oci.Manifest) (all []string) {
	all = []string{m.MediaType, m.Config.MediaType}
	for _, l := range m.Layers {
		all = append(all, l.MediaType)
	}
	return all
}

func TestOutgoAsItCame(t *testing.T) {
	e := newEngine(t)
	m := makeImage(t, "one", "two")
	takeIn(t, e, m)
	_, document, changed := written(t, newOutImage(t, e, nil))
	if changed || !bytes.Equal(document, m.manifest) {
		t.Errorf("the manifest is %s", document)
	}
	asked := oci.Gzip
	if _, _, changed := written(t, newOutImage(t, e, &asked)); changed {
		t.Error("layers that are gzipped already were compressed anew")
	}
}

// Every change of form, from each family of media types.
func TestOutgoChanged(t *testing.T) {
	cases := []struct {
		name   string
		docker bool
		to     oci.Compression
		want   []string
	}{
		{"oci to none", false, oci.Uncompressed, []string{oci.MediaTypeManifest, oci.MediaTypeConfig, oci.MediaTypeLayer}},
		{"oci to zstd", false, oci.Zstd, []string{oci.MediaTypeManifest, oci.MediaTypeConfig, oci.MediaTypeLayerZstd}},
		{"docker to none", true, oci.Uncompressed, []string{oci.MediaTypeDockerManifest, oci.MediaTypeDockerConfig, oci.MediaTypeDockerLayer}},
		{"docker to zstd", true, oci.Zstd, []string{oci.MediaTypeManifest, oci.MediaTypeConfig, oci.MediaTypeLayerZstd}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := newEngine(t)
			m := makeImage(t, "one")
			if c.docker {
				m.manifest = []byte(strings.NewReplacer(oci.MediaTypeManifest, oci.MediaTypeDockerManifest, oci.MediaTypeConfig, oci.MediaTypeDockerConfig,
					oci.MediaTypeLayerGzip, oci.MediaTypeDockerLayerGzip).Replace(string(m.manifest)))
			}
			m.manifest = []byte(strings.Replace(string(m.manifest), "{", `{"annotations":{"a":"b"},"foreign":{"x":[1]},`, 1))
			takeIn(t, e, m)
			got, document, changed := written(t, newOutImage(t, e, &c.to))
			if diff := cmp.Diff(c.want, types(got)); diff != "" || !changed {
				t.Errorf("changed %v, media types (-want +got):\n%s", changed, diff)
			}
			var fields map[string]json.RawMessage
			check(t, json.Unmarshal(document, &fields))
			if string(fields["foreign"]) != `{"x":[1]}` || got.Annotations["a"] != "b" {
				t.Errorf("what is not ours has gone: %s", document)
			}
			if _, again, _ := written(t, newOutImage(t, e, &c.to)); !bytes.Equal(again, document) {
				t.Errorf("twice the same gives\n%s and\n%s", document, again)
			}
		})
	}
}

// A layer whose blob came with another image, in another form.
func TestOutgoLostBlob(t *testing.T) {
	e := newEngine(t)
	m := makeImage(t, "one", "two")
	takeIn(t, e, m)
	removeBlobs(t, e, m.layers[0].Digest)
	got, _, changed := written(t, newOutImage(t, e, nil))
	if !changed || got.Layers[0].Digest == m.layers[0].Digest || got.Layers[1].Digest != m.layers[1].Digest {
		t.Errorf("changed %v, layers %v", changed, got.Layers)
	}
	if diff := cmp.Diff([]string{oci.MediaTypeManifest, oci.MediaTypeConfig, oci.MediaTypeLayerGzip, oci.MediaTypeLayerGzip}, types(got)); diff != "" {
		t.Errorf("media types (-want +got):\n%s", diff)
	}
}

func removeBlobs(t *testing.T, e *Engine, digest oci.Digest) {
	t.Helper()
	kept, err := filepath.Glob(filepath.Join(e.Root(), "layers/*/blob-"+digest.Hex()))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept blobs %v, %v", kept, err)
	}
	check(t, os.Remove(kept[0]))
}

// skopeo says of uncompressed layers in Docker's manifest that they are gzipped.
// They go out as they came.
func TestOutgoSaidToBeGzipped(t *testing.T) {
	e := newEngine(t)
	m := makeImage(t, "one")
	config, err := oci.ParseConfig(m.config)
	check(t, err)
	z, err := gzip.NewReader(bytes.NewReader(m.blobs[m.layers[0].Digest]))
	check(t, err)
	archive, err := io.ReadAll(z)
	check(t, err)
	m.layers[0].Digest, m.layers[0].Size = oci.FromBytes(archive), int64(len(archive))
	m.blobs[m.layers[0].Digest] = archive
	m.describe(t, config)
	takeIn(t, e, m)
	if _, document, changed := written(t, newOutImage(t, e, nil)); changed || !bytes.Equal(document, m.manifest) {
		t.Errorf("the manifest is %s", document)
	}
	for _, to := range []oci.Compression{oci.Gzip, oci.Uncompressed} {
		if got, _, changed := written(t, newOutImage(t, e, &to)); !changed || to == oci.Gzip && got.Layers[0].Digest == m.layers[0].Digest {
			t.Errorf("compression %d: changed %v", to, changed)
		}
	}
}

// A blob or a tree that has changed on disk does not go out as if it were right.
func TestOutgoDamaged(t *testing.T) {
	e := newEngine(t)
	m := makeImage(t, "one")
	takeIn(t, e, m)
	kept, err := filepath.Glob(filepath.Join(e.Root(), "layers/*/blob-*"))
	check(t, err)
	data, err := os.ReadFile(kept[0])
	check(t, err)
	data[len(data)-1]++
	check(t, os.WriteFile(kept[0], data, 0o600))
	err = newOutImage(t, e, nil).WriteLayer(context.Background(), 0, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "has changed: its digest is now") {
		t.Errorf("the blob: %v", err)
	}
	trees, err := filepath.Glob(filepath.Join(e.Root(), "layers/*/tree/one"))
	check(t, err)
	check(t, os.WriteFile(trees[0], []byte("eno"), 0o644))
	plain := oci.Uncompressed
	err = newOutImage(t, e, &plain).WriteLayer(context.Background(), 0, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "have changed") {
		t.Errorf("the tree: %v", err)
	}
}

// What is going out is not collected.
func TestOutgoKeeps(t *testing.T) {
	e := newEngine(t)
	takeIn(t, e, makeImage(t, "one"))
	img := newOutImage(t, e, nil)
	_, err := e.RemoveImage("made", false)
	check(t, err)
	check(t, img.WriteLayer(context.Background(), 0, io.Discard))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := img.WriteLayer(ctx, 0, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
