// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/oci"
)

const (
	nameDir       = "names"
	startDir      = "starts"
	recordVersion = 1
	maxRecord     = 4 << 10 // a reference has at most 255+128+71 bytes and a domain
)

// record is the file of a name: names/HEX.json, where HEX is the SHA-256 of the
// reference in its normal form.
type record struct {
	Version  int           `json:"version"`
	Name     oci.Reference `json:"name"`
	Manifest oci.Digest    `json:"manifest"`
}

func fileOf(ref oci.Reference) string {
	return oci.FromBytes([]byte(ref.String())).Hex() + ".json"
}

// Tag makes ref a name of img, in place of the image it named before. A
// reference without a tag gets the default one; one with a digest is refused,
// because it names an image for ever.
func (i *Images) Tag(img Image, ref oci.Reference) error {
	return i.tag(img, ref, durable.WriteFile)
}

// TagIn is Tag as part of a batch, to which the image has been added.
func (i *Images) TagIn(b *durable.Batch, img Image, ref oci.Reference) error {
	return i.tag(img, ref, b.WriteFile)
}

func (i *Images) tag(img Image, ref oci.Reference, write func(*os.File, string, []byte, os.FileMode) error) error {
	if ref.Digest != "" {
		return fmt.Errorf("tag %s: a reference with a digest cannot be given to an image", ref.Familiar())
	}
	return i.name(img, ref.WithDefaultTag(), write)
}

// pinned is the name of what was pulled by a digest, which may be that of an
// index in which the image's manifest is. The tag beside it is a comment.
func pinned(ref oci.Reference) oci.Reference {
	ref.Tag = ""
	return ref
}

// name makes ref, with a tag or a digest, a name of img.
func (i *Images) name(img Image, ref oci.Reference, write func(*os.File, string, []byte, os.FileMode) error) error {
	data, err := json.Marshal(record{recordVersion, ref, img.Manifest})
	if err != nil {
		return fmt.Errorf("tag %s: %w", ref.Familiar(), err)
	}
	if len(data) > maxRecord {
		return fmt.Errorf("tag %s: the name is too long", ref.Familiar())
	}
	dir, err := i.open(nameDir)
	if err != nil {
		return fmt.Errorf("tag %s: %w", ref.Familiar(), err)
	}
	defer dir.Close()
	if err := write(dir, fileOf(ref), data, 0o600); err != nil {
		return fmt.Errorf("tag %s: %w", ref.Familiar(), err)
	}
	return nil
}

// Untag removes a name and leaves the image. The error for a name that is not
// there is an *UnknownError.
func (i *Images) Untag(ref oci.Reference) error {
	ref = ref.WithDefaultTag()
	dir, err := i.open(nameDir)
	if err != nil {
		return fmt.Errorf("untag %s: %w", ref.Familiar(), err)
	}
	defer dir.Close()
	switch err := unix.Unlinkat(int(dir.Fd()), fileOf(ref), 0); err {
	case nil:
		return durable.Sync(dir)
	case unix.ENOENT:
		return i.unknown(ref.Familiar())
	default:
		return fmt.Errorf("untag %s: %w", ref.Familiar(), err)
	}
}

// named reads which manifest ref names. The error for a name that is not there
// is os.ErrNotExist.
func (i *Images) named(ref oci.Reference) (oci.Digest, error) {
	r, err := i.record(fileOf(ref))
	return r.Manifest, err
}

// record reads one file of names and checks that it is what its name says.
func (i *Images) record(file string) (r record, err error) {
	data, err := durable.ReadFile(i.dir, nameDir+"/"+file, maxRecord)
	if err != nil {
		return record{}, err
	}
	if err = r.parse(data); err == nil && fileOf(r.Name) != file {
		err = fmt.Errorf("it names %s, whose file is another", r.Name)
	}
	if err != nil {
		return record{}, &os.PathError{Op: "read", Path: i.dir.Name() + "/" + nameDir + "/" + file, Err: err}
	}
	return r, nil
}

func (r *record) parse(data []byte) error {
	if err := json.Unmarshal(data, r); err != nil {
		return err
	}
	switch {
	case r.Version > recordVersion:
		return fmt.Errorf("version %d is newer than this program, which knows %d", r.Version, recordVersion)
	case r.Version != recordVersion:
		return fmt.Errorf("version %d, not %d", r.Version, recordVersion)
	case r.Name == oci.Reference{}:
		return errors.New("no name")
	case r.Manifest == "":
		return errors.New("no manifest")
	}
	return nil
}

// records reads all names, in the order of the references. Like All it returns
// what can be read even with an error.
func (i *Images) records() (records []record, err error) {
	files, err := i.list(nameDir)
	errs := []error{err}
	for _, file := range files {
		r, err := i.record(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // untagged since the directory was read
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b record) int { return strings.Compare(a.Name.String(), b.Name.String()) })
	return records, errors.Join(errs...)
}
