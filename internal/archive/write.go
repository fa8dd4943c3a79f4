// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"strata/internal/oci"
)

// An OutImage is an image to be written.
type OutImage struct {
	Image
	Layers []Blob // oldest first
}

// A Blob is a layer to be written. Write writes the bytes that the descriptor is
// of.
type Blob struct {
	oci.Descriptor
	Write func(ctx context.Context, w io.Writer) error
}

// member is a file to be written.
type member struct {
	name  string
	size  int64
	write func(ctx context.Context, w io.Writer) error
}

func document(name string, data []byte) member {
	return member{name, int64(len(data)), func(_ context.Context, w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
}

// WriteLayout writes images to w as a tar archive of an OCI layout. Beside it
// stands a manifest.json, for versions of Docker that read no layout. Each blob is
// there once, documents first. Equal images give equal bytes: the time of every
// member is the one given.
func WriteLayout(ctx context.Context, w io.Writer, images []OutImage, mtime time.Time) error {
	images = merge(images)
	members := []member{document(layoutName, layoutDocument)}
	index, err := json.Marshal(newIndex(images))
	if err != nil {
		return err
	}
	list, err := json.Marshal(dockerList(images, func(img OutImage) string { return blobName(oci.FromBytes(img.Config)) },
		func(b Blob) string { return blobName(b.Digest) }))
	if err != nil {
		return err
	}
	members = append(members, document(indexName, index))
	members = append(members, blobs(images)...)
	// behind the configs: who reads a stream knows the layers that are to come
	documents := 2 + 2*len(images)
	members = slices.Insert(members, min(documents, len(members)), document(dockerName, list))
	return writeTar(ctx, w, once(members), mtime)
}

// WriteDocker writes images to w as docker save does. Layers are uncompressed.
func WriteDocker(ctx context.Context, w io.Writer, images []OutImage, mtime time.Time) error {
	images = merge(images)
	configName := func(img OutImage) string { return oci.FromBytes(img.Config).Hex() + ".json" }
	layerName := func(b Blob) string { return b.Digest.Hex() + ".tar" }
	list, err := json.Marshal(dockerList(images, configName, layerName))
	if err != nil {
		return err
	}
	var members []member
	for _, img := range images {
		members = append(members, document(configName(img), img.Config))
	}
	members = append(members, document(dockerName, list))
	for _, img := range images {
		for _, l := range img.Layers {
			members = append(members, member{layerName(l), l.Size, l.Write})
		}
	}
	return writeTar(ctx, w, once(members), mtime)
}

// merge makes one of images that are the same but for their names.
func merge(images []OutImage) (merged []OutImage) {
	for _, img := range images {
		same := func(other OutImage) bool { return bytes.Equal(other.Manifest, img.Manifest) }
		i := slices.IndexFunc(merged, same)
		if i < 0 {
			i = len(merged)
			merged = append(merged, img)
			merged[i].Names = nil
		}
		for _, name := range img.Names {
			if !slices.Contains(merged[i].Names, name) {
				merged[i].Names = append(merged[i].Names, name)
			}
		}
	}
	return merged
}

// once leaves out what has been written under its name before.
func once(members []member) []member {
	seen := make(map[string]bool)
	return slices.DeleteFunc(members, func(m member) bool {
		again := seen[m.name]
		seen[m.name] = true
		return again
	})
}

// dockerList is the content of manifest.json.
func dockerList(images []OutImage, configName func(OutImage) string, layerName func(Blob) string) []dockerImage {
	list := make([]dockerImage, len(images))
	for i, img := range images {
		list[i] = dockerImage{Config: configName(img), Layers: make([]string, len(img.Layers))}
		for _, name := range img.Names {
			list[i].RepoTags = append(list[i].RepoTags, name.String()) // podman takes a short one for its own
		}
		for n, l := range img.Layers {
			list[i].Layers[n] = layerName(l)
		}
	}
	return list
}

func writeTar(ctx context.Context, w io.Writer, members []member, mtime time.Time) error {
	t := tar.NewWriter(w)
	for _, m := range members {
		if err := t.WriteHeader(&tar.Header{Name: m.name, Mode: 0o644, Size: m.size, ModTime: mtime}); err != nil {
			return err
		}
		if err := m.writeTo(ctx, t); err != nil {
			return err
		}
	}
	return t.Close()
}

// writeTo writes a member and holds it to its size.
func (m member) writeTo(ctx context.Context, w io.Writer) error {
	counted := &countingWriter{w: w}
	err := m.write(ctx, counted)
	if err == nil && counted.n != m.size {
		err = fmt.Errorf("%s: %d bytes were written in place of %d", m.name, counted.n, m.size)
	}
	return err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
