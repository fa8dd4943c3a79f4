// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/layer"
	"strata/internal/linux"
	"strata/internal/oci"
)

// The files of a layer. A layer without its tree is one that Seal was killed in,
// and no layer at all.
const (
	treeName    = "tree"
	recordName  = "layer.json"
	archiveName = "archive.gz"
	usageName   = "usage.json"

	layerVersion  = 1
	formDirectory = "directory"
)

// Layer describes a layer of the store.
type Layer struct {
	DiffID      oci.Digest // of its uncompressed archive
	ArchiveSize int64      // bytes of that
	ContentSize int64      // bytes of the regular files in it
	Entries     int
	Newest      time.Time // the latest modification time in it, in whole seconds
}

// Descriptor is the layer's entry in a manifest, as an uncompressed archive.
func (l Layer) Descriptor() oci.Descriptor {
	return oci.Descriptor{MediaType: oci.MediaTypeLayer, Digest: l.DiffID, Size: l.ArchiveSize}
}

type layerRecord struct {
	Version     int        `json:"version"`
	DiffID      oci.Digest `json:"diffID"`
	Form        string     `json:"form"`
	ArchiveSize int64      `json:"archiveSize"`
	ContentSize int64      `json:"contentSize"`
	Entries     int        `json:"entries"`
	Newest      int64      `json:"newest"` // seconds of Unix time
	making
}

// making is how a layer's tree came to be, and so what of it may differ from the
// archive.
type making struct {
	Sealed bool   `json:"sealed,omitempty"` // it was an upperdir: it has parts of seconds, and sockets
	Epoch  *int64 `json:"epoch,omitempty"`  // of a sealed one: later times are this one in the archive, in seconds of Unix time
	OneID  bool   `json:"oneID,omitempty"`  // every owner is the user's one id
}

// writeRecord writes layer.json into a staged layer; the layer's syncfs makes it
// durable.
func writeRecord(dir *os.File, info layer.Info, how making) (Layer, error) {
	data, err := marshalRecord(info, how)
	if err != nil {
		return Layer{}, err
	}
	l := Layer{info.DiffID, info.ArchiveSize, info.ContentSize, info.Entries, info.Newest}
	return l, durable.WriteFileRelaxed(dir, recordName, data, 0o600)
}

func marshalRecord(info layer.Info, how making) ([]byte, error) {
	return json.Marshal(layerRecord{
		layerVersion, info.DiffID, formDirectory, info.ArchiveSize, info.ContentSize, info.Entries, info.Newest.Unix(), how,
	})
}

func (r *layerRecord) parse(data []byte, id oci.Digest) error {
	if err := json.Unmarshal(data, r); err != nil {
		return err
	}
	switch {
	case r.Version > layerVersion:
		return fmt.Errorf("version %d is newer than this program, which knows %d", r.Version, layerVersion)
	case r.Version != layerVersion:
		return fmt.Errorf("version %d, not %d", r.Version, layerVersion)
	case r.DiffID != id:
		return fmt.Errorf("it is of layer %q", r.DiffID)
	case r.Form != formDirectory:
		return fmt.Errorf("form %q is unknown", r.Form)
	case r.ArchiveSize < 0 || r.ContentSize < 0 || r.Entries < 0:
		return errors.New("a negative size")
	}
	return nil
}

// Layer describes the layer with the given diffID. The error for one that is not
// there is os.ErrNotExist.
func (s *Store) Layer(id oci.Digest) (Layer, error) {
	const inTree = "/" + treeName
	if _, err := linux.Lstat(s.fd(), pathOf(id)+inTree); err != nil {
		return Layer{}, s.layerError(id, &os.PathError{Op: "stat", Path: s.path(pathOf(id) + inTree), Err: err})
	}
	name := pathOf(id) + "/" + recordName
	data, err := durable.ReadFile(s.root, name, maxRecord)
	if err != nil {
		return Layer{}, fmt.Errorf("layer %s: %w", id, err)
	}
	var r layerRecord
	if err := r.parse(data, id); err != nil {
		return Layer{}, fmt.Errorf("layer %s: %w", id, &os.PathError{Op: "read", Path: s.path(name), Err: err})
	}
	return Layer{r.DiffID, r.ArchiveSize, r.ContentSize, r.Entries, time.Unix(r.Newest, 0).UTC()}, nil
}

// Layers describes all layers, in the order of their diffIDs. What can be read is
// returned even with an error, which joins one cause for each layer.
func (s *Store) Layers() (layers []Layer, err error) {
	ids, err := s.layerIDs()
	errs := []error{err}
	for _, id := range ids {
		l, err := s.Layer(id)
		switch {
		case err == nil:
			layers = append(layers, l)
		case !errors.Is(err, os.ErrNotExist): // collected since, or never finished
			errs = append(errs, err)
		}
	}
	return layers, errors.Join(errs...)
}

func (s *Store) layerIDs() (ids []oci.Digest, err error) {
	entries, err := s.list(layerDir)
	errs := []error{err}
	for _, e := range entries {
		id, err := oci.ParseDigest("sha256:" + e.Name)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s is no layer: %w", s.path(layerDir+"/"+e.Name), err))
			continue
		}
		ids = append(ids, id)
	}
	return ids, errors.Join(errs...)
}

func (s *Store) list(name string) ([]linux.Dirent, error) {
	dir, err := s.open(name, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := linux.ReadDir(int(dir.Fd()))
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: dir.Name(), Err: err}
	}
	return entries, nil
}

// Lower opens the layer's directory for use as a lowerdir. It can be read, and
// its entries must not be written. The caller closes it. The error for a layer
// that is not there is os.ErrNotExist.
func (s *Store) Lower(id oci.Digest) (*os.File, error) {
	return s.lowerIn(pathOf(id), id)
}

// lowerIn is Lower of a layer whose directory is layer.
func (s *Store) lowerIn(layer string, id oci.Digest) (*os.File, error) {
	dir, err := s.open(layer+"/"+treeName, unix.O_DIRECTORY)
	if err != nil {
		return nil, s.layerError(id, err)
	}
	return dir, nil
}

// Archive writes the layer's uncompressed archive, the exact bytes of which id
// is the digest. Bytes that do not have that digest any more are an error, but
// they are written by then.
func (s *Store) Archive(ctx context.Context, id oci.Digest, w io.Writer) error {
	tree, err := s.Lower(id)
	if err != nil {
		return err
	}
	defer tree.Close()
	record, err := s.open(pathOf(id)+"/"+archiveName, 0)
	if err != nil {
		return s.layerError(id, err)
	}
	defer record.Close()
	hash := sha256.New()
	if err := layer.Rebuild(ctx, tree, record, io.MultiWriter(w, hash)); err != nil {
		return fmt.Errorf("layer %s: %w", id, err)
	}
	if got := oci.FromSum(hash.Sum(nil)); got != id {
		return fmt.Errorf("layer %s: its files have changed: the archive's digest is now %s", id, got)
	}
	return nil
}

// Verify makes the layer's archive again and compares its digest.
func (s *Store) Verify(ctx context.Context, id oci.Digest) error {
	if _, err := s.Layer(id); err != nil {
		return err
	}
	return s.Archive(ctx, id, io.Discard)
}

func pathOf(id oci.Digest) string { return layerDir + "/" + id.Hex() }

// layerError says of a missing layer that it is missing, and not which file is.
func (s *Store) layerError(id oci.Digest, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("layer %s: not in the store: %w", id, os.ErrNotExist)
	}
	return fmt.Errorf("layer %s: %w", id, err)
}
