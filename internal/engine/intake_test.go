// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strata/internal/oci"
	"strata/internal/store"
)

// madeImage is an image of layers that hold a file each.
type madeImage struct {
	manifest, config []byte
	layers           []oci.Descriptor
	blobs            map[oci.Digest][]byte
	asked            atomic.Int32
}

func (m *madeImage) Layer(_ context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	m.asked.Add(1)
	blob, ok := m.blobs[d.Digest]
	if !ok {
		return nil, errors.New("no such blob")
	}
	return io.NopCloser(bytes.NewReader(blob)), nil
}

func makeImage(t *testing.T, files ...string) *madeImage {
	m := &madeImage{blobs: make(map[oci.Digest][]byte)}
	config := oci.ImageConfig{Platform: oci.Platform{Architecture: "amd64", OS: "linux"}, RootFS: oci.RootFS{Type: "layers"}}
	for _, name := range files {
		var archive, blob bytes.Buffer
		w := tar.NewWriter(&archive)
		check(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(name))}))
		w.Write([]byte(name))
		check(t, w.Close())
		z := gzip.NewWriter(&blob)
		z.Write(archive.Bytes())
		check(t, z.Close())
		d := oci.Descriptor{MediaType: oci.MediaTypeLayerGzip, Digest: oci.FromBytes(blob.Bytes()), Size: int64(blob.Len())}
		m.layers, m.blobs[d.Digest] = append(m.layers, d), blob.Bytes()
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, oci.FromBytes(archive.Bytes()))
	}
	m.describe(t, config)
	return m
}

func (m *madeImage) describe(t *testing.T, config oci.ImageConfig) {
	var err error
	m.config, err = config.Document()
	check(t, err)
	m.manifest, err = json.Marshal(oci.NewManifest(m.config, m.layers))
	check(t, err)
}

func gunzip(r io.Reader) (io.ReadCloser, bool, error) {
	z, err := gzip.NewReader(r)
	return z, true, err
}

func newIntake(t *testing.T, e *Engine, o IntakeOptions) *Intake {
	t.Helper()
	if o.Decompress == nil {
		o.Decompress = gunzip
	}
	in, err := e.NewIntake(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, in.Close()) })
	return in
}

func TestFetchKeepsWhatCame(t *testing.T) {
	e := newEngine(t)
	m := makeImage(t, "one", "two", "one", "three")
	var applied atomic.Int32
	in := newIntake(t, e, IntakeOptions{Progress: func(p LayerProgress) {
		if p.State == LayerApplied {
			applied.Add(1)
		}
	}})
	check(t, in.Fetch(context.Background(), m, m.manifest, m.config))
	name, err := oci.ParseReference("made")
	check(t, err)
	img, err := in.Add(m.manifest, m.config, name.WithDefaultTag())
	if err != nil {
		t.Fatal(err)
	}
	if img.Manifest != oci.FromBytes(m.manifest) || img.ID != oci.FromBytes(m.config) {
		t.Errorf("the image is %s of manifest %s", img.ID, img.Manifest)
	}
	if m.asked.Load() != 3 || applied.Load() != 3 { // one of the four twice
		t.Errorf("%d blobs were fetched, %d layers applied; want 3", m.asked.Load(), applied.Load())
	}
	for i, id := range img.Layers {
		f, err := e.store.Blob(id, m.layers[i].Digest)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		check(t, errors.Join(err, f.Close()))
		if !bytes.Equal(got, m.blobs[m.layers[i].Digest]) {
			t.Errorf("the kept blob of layer %d has the digest %s", i, oci.FromBytes(got))
		}
		check(t, e.store.Verify(context.Background(), id))
	}
	found, err := e.images.Resolve("made")
	check(t, err)
	if found.Manifest != img.Manifest {
		t.Errorf("the name is %s's", found.Manifest)
	}

	again := newIntake(t, e, IntakeOptions{})
	check(t, again.Fetch(context.Background(), m, m.manifest, m.config))
	if m.asked.Load() != 3 {
		t.Error("layers that are here were fetched again")
	}
}

func TestFetchRefusesAnotherBlob(t *testing.T) {
	cases := map[string]struct {
		change func(t *testing.T, m *madeImage, blob *[]byte)
		want   string
	}{
		"longer":  {func(_ *testing.T, _ *madeImage, b *[]byte) { *b = append(*b, 'x') }, "it is longer than"},
		"shorter": {func(_ *testing.T, _ *madeImage, b *[]byte) { *b = (*b)[:len(*b)-1] }, "it ends after"},
		"changed": {func(_ *testing.T, _ *madeImage, b *[]byte) { (*b)[len(*b)-9] ^= 1 }, "its content has the digest"},
		"no gzip": {func(_ *testing.T, _ *madeImage, b *[]byte) { *b = bytes.Repeat([]byte("x"), len(*b)) }, "invalid header"},
		"wrong diffID": {func(t *testing.T, m *madeImage, _ *[]byte) {
			m.describe(t, oci.ImageConfig{RootFS: oci.RootFS{Type: "layers", DiffIDs: []oci.Digest{oci.FromBytes(nil)}}})
		}, "the archive has the digest"},
		"gone": {func(_ *testing.T, m *madeImage, _ *[]byte) { m.blobs = nil }, "no such blob"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			before, err := e.store.Layers()
			check(t, err)
			m := makeImage(t, "file")
			blob := m.blobs[m.layers[0].Digest]
			c.change(t, m, &blob)
			if m.blobs != nil {
				m.blobs[m.layers[0].Digest] = blob
			}
			in := newIntake(t, e, IntakeOptions{})
			if err := in.Fetch(context.Background(), m, m.manifest, m.config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("fetch: %v, want %q", err, c.want)
			}
			if _, err := in.Add(m.manifest, m.config); err == nil || !strings.Contains(err.Error(), "is missing") {
				t.Errorf("add: %v", err)
			}
			layers, err := e.store.Layers()
			check(t, err)
			if diff := cmp.Diff(before, layers); diff != "" {
				t.Errorf("layers in the store:\n%s", diff)
			}
		})
	}
}

// A stream's layers come before its manifest.
func TestApplyBeforeManifest(t *testing.T) {
	e := newEngine(t)
	m := makeImage(t, "one", "two")
	in := newIntake(t, e, IntakeOptions{})
	var taken []store.Blob
	for _, d := range m.layers {
		_, b, err := in.Apply(context.Background(), bytes.NewReader(m.blobs[d.Digest]), oci.Descriptor{}, "")
		check(t, err)
		taken = append(taken, b)
	}
	want := []store.Blob{{Digest: m.layers[0].Digest, Size: m.layers[0].Size}, {Digest: m.layers[1].Digest, Size: m.layers[1].Size}}
	if diff := cmp.Diff(want, taken); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
	swapped := &madeImage{layers: []oci.Descriptor{m.layers[1], m.layers[0]}}
	config, err := oci.ParseConfig(m.config)
	check(t, err)
	swapped.describe(t, config)
	if _, err := in.Add(swapped.manifest, swapped.config); err == nil || !strings.Contains(err.Error(), "the config says") {
		t.Errorf("layers in another order: %v", err)
	}
	if _, err := in.Add(m.manifest, m.config); err != nil {
		t.Error(err)
	}
}

// Two that fetch the same layers at once fetch each once, whatever the order.
func TestFetchOnce(t *testing.T) {
	root := t.TempDir() + "/store"
	files := strings.Fields("a b c d e f g h")
	m := makeImage(t, files...)
	slow := &slowSource{madeImage: m, begun: make(chan struct{}, len(files)), goOn: make(chan struct{})}
	fetch := func() error {
		e, err := Open(root)
		if err != nil {
			return err
		}
		in, err := e.NewIntake(IntakeOptions{Decompress: gunzip, Parallel: 3})
		if err != nil {
			return err
		}
		err = in.Fetch(context.Background(), slow, m.manifest, m.config)
		if err == nil {
			_, err = in.Add(m.manifest, m.config)
		}
		return errors.Join(err, in.Close(), e.Close())
	}
	results := make(chan error)
	for range 4 {
		go func() { results <- fetch() }()
	}
	<-slow.begun
	close(slow.goOn)
	for range 4 {
		check(t, <-results)
	}
	if n := m.asked.Load(); int(n) != len(files) {
		t.Errorf("%d blobs were fetched, want %d", n, len(files))
	}
}

// slowSource says when it is asked, and gives nothing before goOn is closed.
type slowSource struct {
	*madeImage
	begun, goOn chan struct{}
}

func (s *slowSource) Layer(ctx context.Context, d oci.Descriptor) (io.ReadCloser, error) {
	s.begun <- struct{}{}
	<-s.goOn
	return s.madeImage.Layer(ctx, d)
}

// Who waits for another's fetch can be interrupted, and takes over from one that
// fails.
func TestFetchWaits(t *testing.T) {
	e := newEngine(t)
	m := makeImage(t, "file")
	img, err := oci.ParseConfig(m.config)
	check(t, err)
	lock, err := e.store.TryFetch(img.RootFS.DiffIDs[0])
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	waits := func(o LayerProgress) {
		if o.State == LayerWaiting {
			cancel()
		}
	}
	if err := newIntake(t, e, IntakeOptions{Progress: waits}).Fetch(ctx, m, m.manifest, m.config); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	releases := func(o LayerProgress) {
		if o.State == LayerWaiting {
			check(t, lock.Close()) // without having fetched it
		}
	}
	in := newIntake(t, e, IntakeOptions{Progress: releases})
	check(t, in.Fetch(context.Background(), m, m.manifest, m.config))
	if m.asked.Load() != 1 {
		t.Errorf("the layer was fetched %d times", m.asked.Load())
	}
}
