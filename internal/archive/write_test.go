// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strata/internal/oci"
)

// out is a sample to be written.
func (s sample) out(t testing.TB, names ...string) OutImage {
	refs, unusable := references(names)
	if unusable != nil {
		t.Fatal(unusable)
	}
	m, err := oci.ParseManifest([]byte(s.manifest))
	must(t, err)
	o := OutImage{Image: Image{Manifest: []byte(s.manifest), Config: []byte(s.config), Names: refs}}
	for i, d := range m.Layers {
		o.Layers = append(o.Layers, Blob{d, func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, s.layers[i])
			return err
		}})
	}
	return o
}

func TestWriteRead(t *testing.T) {
	ctx := context.Background()
	a, b := newSample(t, "amd64", "one", "two"), newSample(t, "arm64", "one")
	want := []found{{a.config, a.manifest, []string{"a:1", "a:2"}}, {b.config, b.manifest, nil}}
	images := []OutImage{a.out(t, "a:2"), b.out(t), a.out(t, "a:1", "a:2")}
	var archives [2]bytes.Buffer
	for i := range archives {
		must(t, WriteLayout(ctx, &archives[i], images, time.Time{}))
	}
	if !bytes.Equal(archives[0].Bytes(), archives[1].Bytes()) {
		t.Error("two archives of the same images differ")
	}
	seen := make(map[string]bool)
	for r := tar.NewReader(&archives[1]); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		if seen[h.Name] {
			t.Errorf("%s is there twice", h.Name)
		}
		if seen[h.Name] = true; !h.ModTime.Equal(time.Unix(0, 0)) || h.Uid != 0 || h.Uname != "" || h.Mode != 0o644 {
			t.Errorf("the header of %s is %+v", h.Name, h)
		}
	}
	got, err := readAll(Open(bytes.NewReader(archives[0].Bytes()), int64(archives[0].Len())))
	must(t, err)
	if diff := cmp.Diff(want, foundIn(got, want)); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	dir := filepath.Join(t.TempDir(), "dir")
	must(t, WriteDir(ctx, dir, images))
	got, err = readAll(OpenDir(dir))
	must(t, err)
	if diff := cmp.Diff(want, foundIn(got, want)); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
}

func TestWriteDocker(t *testing.T) {
	a := newSample(t, "amd64", "one")
	var b bytes.Buffer
	must(t, WriteDocker(context.Background(), &b, []OutImage{a.out(t, "a:1"), a.out(t)}, time.Unix(1_000_000_000, 0)))
	got, err := readAll(ReadStream(context.Background(), &b, take))
	must(t, err)
	want := []found{{a.config, a.manifest, []string{"a:1"}}}
	if diff := cmp.Diff(want, foundIn(got, want)); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}

// Images are added to a layout, in place of those of the same names, and what is
// not ours stays.
func TestAddToDir(t *testing.T) {
	ctx := context.Background()
	a, b, c := newSample(t, "amd64", "one"), newSample(t, "amd64", "two"), newSample(t, "amd64", "three")
	dir := t.TempDir() // it is there and empty
	must(t, WriteDir(ctx, dir, []OutImage{a.out(t, "a"), b.out(t, "b"), b.out(t)}))
	path := filepath.Join(dir, indexName)
	before, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, []byte(strings.Replace(string(before), "{", `{"foreign":[1],`, 1)), 0o644))
	must(t, WriteDir(ctx, dir, []OutImage{c.out(t, "b"), a.out(t, "d")}))
	got, err := readAll(OpenDir(dir))
	must(t, err)
	want := []found{{a.config, a.manifest, []string{"a:latest", "d:latest"}}, {c.config, c.manifest, []string{"b:latest"}}}
	if diff := cmp.Diff(want, foundIn(got, want)); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	var index map[string]json.RawMessage
	after, err := os.ReadFile(path)
	must(t, errors.Join(err, json.Unmarshal(after, &index)))
	if string(index["foreign"]) != "[1]" {
		t.Errorf("the index is %s", after)
	}
}

// A directory is left as it was when a save fails or is interrupted.
func TestDirAfterError(t *testing.T) {
	a, b := newSample(t, "amd64", "one"), newSample(t, "amd64", "two", "three")
	broken := b.out(t, "b")
	broken.Layers[1].Write = func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, b.layers[1])
		return errors.Join(err, context.Canceled)
	}
	short := b.out(t, "b")
	short.Layers[1].Size++
	parent := t.TempDir()
	full, empty, none := filepath.Join(parent, "full"), filepath.Join(parent, "empty"), filepath.Join(parent, "none")
	must(t, errors.Join(os.Mkdir(empty, 0o755), WriteDir(context.Background(), full, []OutImage{a.out(t, "a")})))
	before := list(t, parent)
	for _, img := range []OutImage{broken, short} {
		for _, dir := range []string{full, empty, none} {
			if err := WriteDir(context.Background(), dir, []OutImage{img}); err == nil {
				t.Errorf("%s: no error", dir)
			}
		}
	}
	if diff := cmp.Diff(before, list(t, parent)); diff != "" {
		t.Errorf("files (-before +after):\n%s", diff)
	}
	must(t, os.WriteFile(filepath.Join(empty, "precious"), nil, 0o644))
	if err := WriteDir(context.Background(), empty, []OutImage{a.out(t)}); err == nil || !strings.Contains(err.Error(), "no OCI layout") {
		t.Errorf("a directory that is no layout: %v", err)
	}
}

func list(t testing.TB, dir string) map[string]string {
	files := make(map[string]string)
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var data []byte
			data, err = os.ReadFile(path)
			files[path] = string(data)
		} else {
			files[path] = "/"
		}
		return err
	}))
	return files
}

func TestShortLayer(t *testing.T) {
	a := newSample(t, "amd64", "one").out(t)
	for _, by := range []int64{1, -1} {
		a.Layers[0].Size += by
		if err := WriteLayout(context.Background(), io.Discard, []OutImage{a}, time.Time{}); err == nil {
			t.Errorf("a layer of another size by %d is written", by)
		}
		a.Layers[0].Size -= by
	}
}
