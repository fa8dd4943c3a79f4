// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"strata/internal/image"
	"strata/internal/oci"
	"strata/internal/store"
	treetest "strata/internal/tree"
)

// TestBlameWhatLayersImply has a second layer with a directory that is only
// implied and a hard link to a file of the first.
func TestBlameWhatLayersImply(t *testing.T) {
	e, _ := memoryEngine(t)
	img := imageOf(t, e,
		[]tar.Header{{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, {Name: "a", Mode: 0o640}, {Name: "b", Mode: 0o600}},
		[]tar.Header{{Name: "tmp/x", Mode: 0o644}, {Name: "new/y", Mode: 0o644}, {Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}},
	)
	want := []string{"1 A /a", "2 C /b", "2 A /new", "2 A /new/y", "1 A /tmp", "2 A /tmp/x"}
	if diff := cmp.Diff(want, blamed(t, e, img, BlameOptions{})); diff != "" {
		t.Errorf("blame (-want, +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1 A /b", "2 C /b"}, blamed(t, e, img, BlameOptions{Path: "b", All: true})); diff != "" {
		t.Errorf("blame --all (-want, +got):\n%s", diff)
	}
	if err := e.Blame(string(img.Manifest), BlameOptions{Path: "tmp/none/x", All: true}, nil); err == nil {
		t.Error("a path that no layer has is blamed on one")
	}
}

func imageOf(t *testing.T, e *Engine, layers ...[]tar.Header) image.Image {
	t.Helper()
	config := oci.ImageConfig{Platform: oci.Platform{Architecture: "amd64", OS: "linux"}, RootFS: oci.RootFS{Type: "layers"}}
	var descriptors []oci.Descriptor
	for i, headers := range layers {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			check(t, w.WriteHeader(&h))
		}
		check(t, w.Close())
		l, err := e.store.AddLayer(context.Background(), &b, store.ApplyOptions{})
		check(t, err)
		config = config.Append(l.DiffID, oci.History{CreatedBy: fmt.Sprint("layer ", i)})
		descriptors = append(descriptors, l.Descriptor())
	}
	img, err := e.images.Add(config, descriptors)
	check(t, err)
	return img
}

func blamed(t *testing.T, e *Engine, img image.Image, o BlameOptions) (lines []string) {
	t.Helper()
	check(t, e.Blame(string(img.Manifest), o, func(b Blamed) error {
		lines = append(lines, fmt.Sprintf("%d %c %s", b.Step.Number, b.Kind, b.Path))
		return nil
	}))
	return lines
}

// TestBlameStops: an error of the callback ends it.
func TestBlameStops(t *testing.T) {
	e, _ := memoryEngine(t)
	img := imageOf(t, e, []tar.Header{{Name: "a"}, {Name: "b"}})
	enough, calls := errors.New("enough"), 0
	err := e.Blame(string(img.Manifest), BlameOptions{}, func(Blamed) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// TestHiddenBytes compares what layers hide with what the images of the oldest
// layer, the two oldest, and so on show: a file that shows less often than before
// by its last name has been hidden by the newest layer.
func TestHiddenBytes(t *testing.T) {
	e, scratch := memoryEngine(t)
	rapid.Check(t, func(t *rapid.T) {
		img := drawImage(t, e, scratch)
		for i, id := range img.Layers { // of equal layers only the newest counts
			if lastIndex(img.Layers, id) != i {
				t.Skip("a layer is there twice")
			}
		}
		stats, err := e.LayerStats(img)
		if err != nil {
			t.Fatal(err)
		}
		var shown, total int64
		for i, s := range stats {
			total += s.Size
			hidden := total - shownBytes(t, e, img, i+1) - shown
			shown += hidden
			if s.Hidden != hidden {
				t.Errorf("layer %d hides %d bytes, want %d", i, s.Hidden, hidden)
			}
		}
	})
}

// shownBytes adds up the regular files that the n oldest layers show, each once.
func shownBytes(t *rapid.T, e *Engine, img image.Image, n int) (bytes int64) {
	for _, entry := range seen(t, e, oldest(t, e, img, n)) {
		if entry.Kind == treetest.KindFile {
			bytes += int64(len(entry.Content))
		}
	}
	return bytes
}

// oldest is an image of the n oldest layers of img.
func oldest(t *rapid.T, e *Engine, img image.Image, n int) image.Image {
	config := oci.ImageConfig{Platform: img.Config.Platform, RootFS: oci.RootFS{Type: "layers"}}
	var layers []oci.Descriptor
	for _, id := range img.Layers[:n] {
		l, err := e.store.Layer(id)
		if err != nil {
			t.Fatal(err)
		}
		config = config.Append(id, oci.History{})
		layers = append(layers, l.Descriptor())
	}
	part, err := e.images.Add(config, layers)
	if err != nil {
		t.Fatal(err)
	}
	return part
}
