// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"strata/internal/image"
	"strata/internal/layer"
	"strata/internal/oci"
	"strata/internal/store"
	treetest "strata/internal/tree"
)

// memoryEngine opens an engine on a new store in memory, where a thousand images
// can be made and forgotten.
func memoryEngine(t *testing.T) (*Engine, string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "")
	dir := t.TempDir()
	check(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return openEngine(t, filepath.Join(dir, "store")), dir
}

// drawImage makes an image of random layers, of which some directories are only
// implied.
func drawImage(t *rapid.T, e *Engine, scratch string) image.Image {
	config := oci.ImageConfig{Platform: oci.Platform{Architecture: "amd64", OS: "linux"}, RootFS: oci.RootFS{Type: "layers"}}
	var layers []oci.Descriptor
	for i := range rapid.IntRange(1, 4).Draw(t, "layers") {
		tr := treetest.Gen(treetest.Config{Marks: i > 0, Devices: true, Owners: true, Xattrs: true, OddNames: true}).Draw(t, "layer")
		l, err := e.store.AddLayer(context.Background(), bytes.NewReader(drawArchive(t, tr, scratch)), store.ApplyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		config = config.Append(l.DiffID, oci.History{CreatedBy: fmt.Sprint("layer ", i)})
		layers = append(layers, l.Descriptor())
	}
	img, err := e.images.Add(config, layers)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func drawArchive(t *rapid.T, tr treetest.Tree, scratch string) []byte {
	dir, err := os.MkdirTemp(scratch, "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	treetest.Create(t, dir, tr)
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var whole, some bytes.Buffer
	if _, err := layer.Write(context.Background(), f, &whole, nil, layer.WriteOptions{Root: rapid.Bool().Draw(t, "root")}); err != nil {
		t.Fatal(err)
	}
	r, w := tar.NewReader(&whole), tar.NewWriter(&some)
	for {
		hdr, err := r.Next()
		if err == io.EOF {
			break
		}
		if err == nil && hdr.Typeflag == tar.TypeDir && rapid.IntRange(0, 3).Draw(t, "implied") == 0 {
			continue
		}
		if err == nil {
			err = w.WriteHeader(hdr)
		}
		if err == nil {
			_, err = io.Copy(w, r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return some.Bytes()
}

// seen is what an image shows.
func seen(t treetest.T, e *Engine, img image.Image) treetest.Tree {
	l, err := e.Look(string(img.Manifest))
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer l.Close()
	return treetest.Read(t, fmt.Sprintf("/proc/self/fd/%d/", l.root.Fd()), treetest.WithRoot, treetest.AllXattrs, treetest.NoMarks)
}

// TestSquashShowsTheSame squashes random images from a random layer on: the
// result shows the same, is the same when it is made again, and has no whiteout
// that hides nothing.
func TestSquashShowsTheSame(t *testing.T) {
	e, scratch := memoryEngine(t)
	rapid.Check(t, func(t *rapid.T) {
		img := drawImage(t, e, scratch)
		from := rapid.IntRange(0, len(img.Layers)-1).Draw(t, "from")
		options := SquashOptions{From: fmt.Sprint(from + 1)}
		squashed, err := e.Squash(context.Background(), string(img.Manifest), options)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(seen(t, e, img), seen(t, e, squashed)); diff != "" {
			t.Errorf("(-image, +squashed from layer %d):\n%s", from, diff)
		}
		again, err := e.Squash(context.Background(), string(img.Manifest), options)
		if err != nil || again.ID != squashed.ID || again.Manifest != squashed.Manifest {
			t.Errorf("squashed again: %s %s (%v), first %s %s", again.ID, again.Manifest, err, squashed.ID, squashed.Manifest)
		}
		if len(squashed.Layers) != from+1 {
			t.Errorf("%d layers, want %d", len(squashed.Layers), from+1)
		}
		whiteoutsHide(t, e, squashed)
	})
}

// whiteoutsHide checks that each whiteout of the newest layer hides something.
func whiteoutsHide(t *rapid.T, e *Engine, img image.Image) {
	base := oldest(t, e, img, len(img.Layers)-1)
	below := map[string]bool{}
	for _, p := range seen(t, e, base).Paths() {
		below[p] = true
	}
	dir, err := e.store.Lower(img.Layers[len(img.Layers)-1])
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, entry := range treetest.Read(t, fmt.Sprintf("/proc/self/fd/%d/", dir.Fd())) {
		if entry.Kind == treetest.KindWhiteout && !below[entry.Path] || entry.Opaque {
			t.Errorf("the whiteout %q hides nothing", entry.Path)
		}
	}
}

// TestSquashOfLinksBetweenLayers: the second layer has names for a file of the
// first, of which the result has a copy of its own.
func TestSquashOfLinksBetweenLayers(t *testing.T) {
	e, _ := memoryEngine(t)
	img := imageOf(t, e,
		[]tar.Header{{Name: "a", Mode: 0o640, Uid: 7}, {Name: "b", Mode: 0o600}, {Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}},
		[]tar.Header{{Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}, {Name: "c", Typeflag: tar.TypeLink, Linkname: "a"}, {Name: "tmp/x"}},
		[]tar.Header{{Name: "tmp/y"}},
	)
	for _, from := range []string{"1", "2", "3"} {
		squashed, err := e.Squash(context.Background(), string(img.Manifest), SquashOptions{From: from})
		check(t, err)
		if diff := cmp.Diff(seen(t, e, img), seen(t, e, squashed)); diff != "" {
			t.Errorf("(-image, +squashed from step %s):\n%s", from, diff)
		}
	}
}

func TestSquashFrom(t *testing.T) {
	history := []oci.History{{EmptyLayer: true}, {}, {EmptyLayer: true}, {}, {EmptyLayer: true}}
	digits := func(c string) oci.Digest { return oci.Digest("sha256:" + strings.Repeat(c, 64)) }
	img := image.Image{Config: oci.ImageConfig{History: history}, Layers: []oci.Digest{digits("a"), digits("1")}}
	for from, want := range map[string]any{
		"": 0, "1": 0, "2": 0, "3": 1, "4": 1, "aaaa": 0, string(digits("1")): 1, "11111": 1,
		"0": "steps 2 to 4", "5": "steps 2 to 4", "bbbb": "no such layer", "-1": "steps 2 to 4", "sha256:c": "no such layer",
	} {
		got, err := squashFrom(img, from)
		if text, fails := want.(string); fails && (err == nil || !strings.Contains(err.Error(), text)) || !fails && (err != nil || got != want) {
			t.Errorf("squashFrom(%q) = %d, %v; want %v", from, got, err, want)
		}
	}
	if _, err := squashFrom(image.Image{}, ""); err == nil {
		t.Error("an image without layers is squashed")
	}
}

// TestSquashKeepsWhatItDoesNotKnow checks the fields of a config, its history,
// and that of an image that has none.
func TestSquashKeepsWhatItDoesNotKnow(t *testing.T) {
	e, _ := memoryEngine(t)
	var layers []oci.Descriptor
	var ids []string
	for _, name := range []string{"one", "two"} {
		l, err := e.store.AddLayer(context.Background(), bytes.NewReader(oneFile(t, name)), store.ApplyOptions{})
		check(t, err)
		layers, ids = append(layers, l.Descriptor()), append(ids, string(l.DiffID))
	}
	document := fmt.Sprintf(`{"architecture":"amd64","os":"linux","x-unknown":{"a":1.50},"config":{"Cmd":["x"],"Odd":"<&>"},"rootfs":{"type":"layers","diff_ids":[%q,%q]}}`, ids[0], ids[1])
	img, err := e.images.AddConfig([]byte(document), layers)
	check(t, err)
	squashed, err := e.Squash(context.Background(), string(img.Manifest), SquashOptions{From: "2", Message: "why"})
	check(t, err)
	got, err := e.images.Blob(squashed.ID)
	check(t, err)
	want := fmt.Sprintf(`{"architecture":"amd64","config":{"Cmd":["x"],"Odd":"\u003c\u0026\u003e"},"history":[{},{"created_by":"squash %s","comment":"why"}],"os":"linux","rootfs":{"type":"layers","diff_ids":[%q,%q]},"x-unknown":{"a":1.50}}`,
		ids[1][7:19], ids[0], squashed.Layers[1])
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("config (-want, +got):\n%s", diff)
	}
}

func oneFile(t *testing.T, name string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	check(t, errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644}), w.Close()))
	return b.Bytes()
}

// TestArchiveOfNestedOverlay: the kernel shows the marks of an overlay inside an
// image under the names of our own.
func TestArchiveOfNestedOverlay(t *testing.T) {
	e, _ := memoryEngine(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	check(t, errors.Join(w.WriteHeader(&tar.Header{
		Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755,
		PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.overlay.opaque": "y"},
	}), w.Close()))
	_, err := e.Import(context.Background(), &b, ImportOptions{Name: "img"})
	check(t, err)
	l, err := e.Look("img")
	check(t, err)
	defer l.Close()
	var archive bytes.Buffer
	check(t, l.Archive(context.Background(), "/d", false, &archive))
	hdr, err := tar.NewReader(&archive).Next()
	check(t, err)
	if strings.Contains(archive.String(), ".wh.") || hdr.Name != "d/" {
		t.Errorf("the archive of a directory that is opaque in another overlay has a whiteout: %q", archive.String())
	}
}
