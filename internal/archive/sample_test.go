// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"strata/internal/oci"
)

var amd64 = oci.Platform{OS: "linux", Architecture: "amd64"}

// file is a member of an archive under test.
type file struct {
	name, content string
	link          string // a symbolic link; with hard set a hard one
	hard          bool
}

func tarOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content))}
		if f.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
			if f.hard {
				h.Typeflag = tar.TypeLink
			}
		}
		must(t, w.WriteHeader(h))
		_, err := io.WriteString(w, f.content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return string(data)
}

func gzipped(t testing.TB, data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(data)
	must(t, errors.Join(err, z.Close()))
	return b.Bytes()
}

// sample is an image of layers with one file each, the second of them gzipped.
type sample struct {
	config, manifest string
	layers           []string // blobs
	diffIDs          []oci.Digest
	descriptor       oci.Descriptor // of the manifest
}

func newSample(t testing.TB, arch string, names ...string) sample {
	var s sample
	var layers []oci.Descriptor
	for i, name := range names {
		data := tarOf(t, file{name: name, content: name})
		d := oci.Descriptor{MediaType: oci.MediaTypeLayer}
		s.diffIDs = append(s.diffIDs, oci.FromBytes(data))
		if i%2 == 1 {
			data, d.MediaType = gzipped(t, data), oci.MediaTypeLayerGzip
		}
		d.Digest, d.Size = oci.FromBytes(data), int64(len(data))
		layers, s.layers = append(layers, d), append(s.layers, string(data))
	}
	config, err := oci.ImageConfig{Platform: oci.Platform{OS: "linux", Architecture: arch}, RootFS: oci.RootFS{DiffIDs: s.diffIDs}}.Document()
	must(t, err)
	s.config, s.manifest = string(config), asJSON(t, oci.NewManifest(config, layers))
	s.descriptor = describeBlob(oci.MediaTypeManifest, s.manifest)
	return s
}

func describeBlob(mediaType, content string) oci.Descriptor {
	return oci.Descriptor{MediaType: mediaType, Digest: oci.FromBytes([]byte(content)), Size: int64(len(content))}
}

func blobFile(content string) file {
	return file{name: blobName(oci.FromBytes([]byte(content))), content: content}
}

// files are the blobs of an image.
func (s sample) files() (files []file) {
	for _, l := range s.layers {
		files = append(files, blobFile(l))
	}
	return append(files, blobFile(s.config), blobFile(s.manifest))
}

// named is the image's descriptor in index.json.
func (s sample) named(name string) oci.Descriptor {
	d := s.descriptor
	if name != "" {
		d.Annotations = map[string]string{refNameAnnotation: name}
	}
	return d
}

func index(t testing.TB, manifests ...oci.Descriptor) string {
	return asJSON(t, oci.Index{SchemaVersion: 2, Manifests: append([]oci.Descriptor{}, manifests...)})
}

// layout are the files of an OCI layout.
func layout(t testing.TB, index string, more ...file) []file {
	return append([]file{{name: layoutName, content: string(layoutDocument)}, {name: indexName, content: index}}, more...)
}

// ways are the ways to read an archive; each gives the images and reads their
// layers.
var ways = map[string]func(t testing.TB, files []file) ([]Image, error){
	"file": func(t testing.TB, files []file) ([]Image, error) {
		data := tarOf(t, files...)
		r, err := Open(bytes.NewReader(data), int64(len(data)))
		return readAll(r, err)
	},
	"stream": func(t testing.TB, files []file) ([]Image, error) {
		r, err := ReadStream(context.Background(), bytes.NewReader(tarOf(t, files...)), take)
		return readAll(r, err)
	},
	"directory": func(t testing.TB, files []file) ([]Image, error) {
		dir := t.TempDir()
		for _, f := range files {
			path := filepath.Join(dir, f.name)
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			switch {
			case f.hard:
				must(t, os.Link(filepath.Join(dir, f.link), path))
			case f.link != "":
				must(t, os.Symlink(f.link, path))
			default:
				must(t, os.WriteFile(path, []byte(f.content), 0o644))
			}
		}
		r, err := OpenDir(dir)
		return readAll(r, err)
	},
}

// take is what an engine does of a layer, without a store.
func take(_ context.Context, blob io.Reader, d oci.Descriptor, diffID oci.Digest) (Taken, error) {
	data, err := io.ReadAll(blob)
	if err != nil {
		return Taken{}, err
	}
	taken := Taken{Blob: oci.FromBytes(data), DiffID: oci.FromBytes(data)}
	if d.MediaType == oci.MediaTypeLayerGzip {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return taken, err
		}
		content, err := io.ReadAll(z)
		if err != nil {
			return taken, err
		}
		taken.DiffID = oci.FromBytes(content)
	}
	if diffID != "" && diffID != taken.DiffID {
		return taken, fmt.Errorf("the archive has the digest %s", taken.DiffID)
	}
	if d.Digest != "" && d.Digest != taken.Blob {
		return taken, fmt.Errorf("its content has the digest %s", taken.Blob)
	}
	return taken, nil
}

// readAll lists the images and reads every layer that can be read, which a stream's
// cannot any more.
func readAll(r *Reader, err error) ([]Image, error) {
	if err != nil {
		return nil, err
	}
	defer r.Close()
	images, err := r.Images(amd64)
	if err != nil {
		return nil, err
	}
	for _, img := range images {
		m, err := oci.ParseManifest(img.Manifest)
		if err != nil {
			return nil, err
		}
		for _, d := range m.Layers {
			if err := readLayer(r, d); err != nil {
				return nil, err
			}
		}
	}
	return images, nil
}

func readLayer(r *Reader, d oci.Descriptor) error {
	f, err := r.Layer(context.Background(), d)
	if s, ok := r.members.(*streamMembers); ok && err != nil {
		for _, l := range s.layers {
			if l.taken.Blob == d.Digest {
				return nil
			}
		}
	}
	if err != nil {
		return err
	}
	data, err := io.ReadAll(f)
	if got := oci.FromBytes(data); err == nil && got != d.Digest {
		err = fmt.Errorf("layer %s: its content has the digest %s", d.Digest, got)
	}
	return errors.Join(err, f.Close())
}
