// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"strata/internal/oci"
)

var layoutDocument = []byte(`{"imageLayoutVersion":"1.0.0"}`)

// blobs are the files of an OCI layout that are named by their digests.
func blobs(images []OutImage) (members []member) {
	for _, img := range images {
		members = append(members, document(blobName(oci.FromBytes(img.Manifest)), img.Manifest),
			document(blobName(oci.FromBytes(img.Config)), img.Config))
	}
	for _, img := range images {
		for _, l := range img.Layers {
			members = append(members, member{blobName(l.Digest), l.Size, l.Write})
		}
	}
	return members
}

// newIndex is index.json: a descriptor for each name of an image, or one without.
func newIndex(images []OutImage) oci.Index {
	return oci.Index{SchemaVersion: 2, MediaType: oci.MediaTypeIndex, Manifests: descriptors(images)}
}

// descriptors are never nil: an index without images has an empty list.
func descriptors(images []OutImage) []oci.Descriptor {
	all := []oci.Descriptor{}
	for _, img := range images {
		d := oci.Descriptor{MediaType: manifestType(img.Manifest), Digest: oci.FromBytes(img.Manifest), Size: int64(len(img.Manifest))}
		if len(img.Names) == 0 {
			all = append(all, d)
		}
		for _, name := range img.Names {
			d.Annotations = map[string]string{imageNameAnnotation: name.String(), refNameAnnotation: name.String()}
			all = append(all, d)
		}
	}
	return all
}

// manifestType is the media type that a manifest says it has, or OCI's, which
// need not say it.
func manifestType(manifest []byte) string {
	if m, err := oci.ParseManifest(manifest); err == nil && m.MediaType != "" {
		return m.MediaType
	}
	return oci.MediaTypeManifest
}

// WriteDir writes images as an OCI layout to the directory at path. One that is
// not there is made aside and renamed, and one that is empty is filled. To one that
// is an OCI layout the images are added, in place of those of the same names.
// After an error everything is as it was.
func WriteDir(ctx context.Context, path string, images []OutImage) error {
	images = merge(images)
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeDir(ctx, path, images)
	case err != nil:
		return err
	case len(entries) > 0:
		return addToDir(ctx, path, images)
	}
	return fillDir(ctx, path, images)
}

func makeDir(ctx context.Context, path string, images []OutImage) error {
	path = filepath.Clean(path)
	aside, err := os.MkdirTemp(filepath.Dir(path), ".strata-save-")
	if err != nil {
		return err
	}
	err = os.Chmod(aside, 0o755)
	if err == nil {
		err = fillDir(ctx, aside, images)
	}
	if err == nil {
		err = os.Rename(aside, path)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(aside))
	}
	return nil
}

// fillDir makes a layout of an empty directory.
func fillDir(ctx context.Context, path string, images []OutImage) (err error) {
	d, err := openLayout(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.root.Close()) }()
	index, err := json.Marshal(newIndex(images))
	if err != nil {
		return err
	}
	for _, m := range append(once(blobs(images)), document(layoutName, layoutDocument), document(indexName, index)) {
		if err := d.put(ctx, m); err != nil {
			return errors.Join(err, d.takeBack(), d.root.RemoveAll("blobs"))
		}
	}
	return nil
}

// A layoutDir is a directory that is written to, and what has been added to it.
type layoutDir struct {
	root  *os.Root
	added []string
}

func openLayout(path string) (*layoutDir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	if err := root.MkdirAll(filepath.Clean(blobDir), 0o755); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &layoutDir{root: root}, nil
}

// put writes a file aside and renames it.
func (d *layoutDir) put(ctx context.Context, m member) (err error) {
	aside := m.name + "." + rand.Text()
	f, err := d.root.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	err = errors.Join(m.writeTo(ctx, f), f.Close())
	if err == nil {
		err = d.root.Rename(aside, m.name)
	}
	if err != nil {
		return errors.Join(err, d.root.Remove(aside))
	}
	d.added = append(d.added, m.name)
	return nil
}

// addToDir adds images to an OCI layout.
func addToDir(ctx context.Context, path string, images []OutImage) (err error) {
	index, err := readIndex(path)
	if err == nil {
		index, err = addToIndex(index, descriptors(images))
	}
	if err != nil {
		return fmt.Errorf("%s: it is not empty, and no OCI layout to add to: %w", path, err)
	}
	d, err := openLayout(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.root.Close()) }()
	for _, m := range once(blobs(images)) {
		if d.has(m) {
			continue
		}
		if err := d.put(ctx, m); err != nil {
			return errors.Join(err, d.takeBack())
		}
	}
	if err := d.put(ctx, document(indexName, index)); err != nil {
		return errors.Join(err, d.takeBack())
	}
	return nil
}

// has tells whether a blob is there already, and whole.
func (d *layoutDir) has(m member) bool {
	f, err := d.root.Open(m.name)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != m.size {
		return false
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return err == nil && blobName(oci.FromSum(sum.Sum(nil))) == m.name
}

func (d *layoutDir) takeBack() error {
	var errs []error
	for _, name := range d.added {
		errs = append(errs, d.root.Remove(name))
	}
	return errors.Join(errs...)
}

func readIndex(path string) ([]byte, error) {
	r, err := OpenDir(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	layout, err := r.document(layoutName)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", layoutName, err)
	}
	if err := checkLayout(layout); err != nil {
		return nil, err
	}
	index, err := r.document(indexName)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", indexName, err)
	}
	return index, nil
}

// addToIndex adds descriptors to an index, whose other fields stay as they are.
func addToIndex(index []byte, more []oci.Descriptor) ([]byte, error) {
	if _, err := oci.ParseIndex(index); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	var list []json.RawMessage
	if err := json.Unmarshal(index, &fields); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(fields["manifests"], &list); err != nil {
		return nil, err
	}
	kept := []any{}
	for _, raw := range list {
		var d oci.Descriptor
		if err := json.Unmarshal(raw, &d); err != nil {
			return nil, err
		}
		if !replaced(d, more) {
			kept = append(kept, raw)
		}
	}
	for _, d := range more {
		kept = append(kept, d)
	}
	manifests, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	fields["manifests"] = manifests
	return json.Marshal(fields)
}

// replaced tells whether a descriptor has the name of another, or neither of two
// of one digest has a name.
func replaced(d oci.Descriptor, by []oci.Descriptor) bool {
	for _, b := range by {
		if nameOf(d) == nameOf(b) && (nameOf(d) != "" || d.Digest == b.Digest) {
			return true
		}
	}
	return false
}
