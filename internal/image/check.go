// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/fault"
	"strata/internal/oci"
)

// Check reports what is wrong with manifests, configs, names and the cache of
// starts. The caller holds the store's shared lock. What mends a fault is called
// with the exclusive one: somebody could put a good file in the place of a bad one.
func (i *Images) Check(report fault.Report) error {
	files, err := i.list(blobDir)
	if err != nil {
		return err
	}
	for _, file := range files {
		i.checkBlob(file, report)
	}
	if files, err = i.list(nameDir); err != nil {
		return err
	}
	for _, file := range files {
		i.checkName(file, report)
	}
	if files, err = i.list(startDir); err != nil {
		return err
	}
	for _, file := range files {
		i.checkStart(file, report)
	}
	return nil
}

// CheckImage is Check of one image alone.
func (i *Images) CheckImage(img Image, report fault.Report) {
	i.checkBlob(img.Manifest.Hex(), report)
	i.checkBlob(img.ID.Hex(), report)
	for _, name := range img.Names {
		i.checkName(fileOf(name), report)
	}
	i.checkStart(img.Manifest.Hex(), report)
}

// checkBlob compares a manifest or config with its digest. A file whose name is
// no digest is for who knows all the files of a store.
func (i *Images) checkBlob(file string, report fault.Report) {
	digest, err := oci.ParseDigest("sha256:" + file)
	if err != nil {
		return
	}
	wrong := func() error {
		data, err := durable.ReadFile(i.dir, blobDir+"/"+file, oci.MaxDocument)
		if err != nil {
			return cause(err)
		}
		if got := oci.FromBytes(data); got != digest {
			return fmt.Errorf("its content has the digest %s", got)
		}
		return nil
	}
	err = wrong()
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return
	}
	report(fault.Fault{
		Object: "blob " + string(digest), What: err.Error(), Cure: fault.Remove,
		Mend: i.removal(blobDir, file, wrong),
	})
}

// removal removes a file that is still wrong.
func (i *Images) removal(dir, file string, wrong func() error) func() error {
	return func() error {
		if wrong() == nil {
			return nil
		}
		d, err := i.open(dir)
		if err != nil {
			return err
		}
		defer d.Close()
		if err := unix.Unlinkat(int(d.Fd()), file, 0); err != nil && err != unix.ENOENT {
			return &os.PathError{Op: "remove", Path: d.Name() + "/" + file, Err: err}
		}
		return durable.Sync(d)
	}
}

// checkName checks that a name can be read and leads to an image.
func (i *Images) checkName(file string, report fault.Report) {
	r, err := i.record(file)
	if errors.Is(err, os.ErrNotExist) { // untagged since
		return
	}
	if err != nil {
		wrong := func() error { _, err := i.record(file); return err }
		report(fault.Fault{
			Object: "name " + file, What: cause(err).Error(), Cure: fault.Remove, Mend: i.removal(nameDir, file, wrong),
		})
		return
	}
	unusable := i.whole(r.Manifest)
	if _, err := i.record(file); unusable == nil || errors.Is(err, os.ErrNotExist) {
		return
	}
	report(fault.Fault{
		Object: "image " + r.Name.Familiar(), What: unusable.Error(),
		Cure: fault.Cure{Will: "removes the name: pull or load the image again", Did: "the name is removed: pull or load the image again"},
		Mend: i.removal(nameDir, file, func() error {
			r, err := i.record(file)
			if err != nil {
				return err
			}
			return i.whole(r.Manifest)
		}),
	})
}

// whole checks that a manifest and its config are there and belong together.
func (i *Images) whole(manifest oci.Digest) error {
	m, err := i.document("manifest", manifest)
	if err != nil {
		return err
	}
	parsed, err := oci.ParseManifest(m)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", manifest, err)
	}
	c, err := i.document("config", parsed.Config.Digest)
	if err != nil {
		return err
	}
	if _, _, err := Parse(m, c); err != nil {
		return fmt.Errorf("manifest %s: %w", manifest, err)
	}
	return nil
}

// document reads one, and says in the field's words that it is not there.
func (i *Images) document(kind string, digest oci.Digest) ([]byte, error) {
	data, err := i.Blob(digest)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("its %s %s is missing", kind, digest)
	case err != nil:
		return nil, fmt.Errorf("its %s %s is damaged", kind, digest)
	}
	return data, nil
}

// checkStart compares the cache with the documents.
func (i *Images) checkStart(file string, report fault.Report) {
	manifest, err := oci.ParseDigest("sha256:" + file)
	if err != nil {
		return
	}
	wrong := func() error {
		data, err := durable.ReadFile(i.dir, startDir+"/"+file, oci.MaxDocument)
		if err != nil {
			return cause(err)
		}
		img, err := i.load(manifest)
		if err != nil {
			return errors.New("its image is gone")
		}
		want, err := Start{ID: img.ID, Manifest: img.Manifest, Layers: img.Layers, Config: img.Config.Config}.marshal()
		if err == nil && !bytes.Equal(data, want) {
			err = errors.New("it does not say what the image says")
		}
		return err
	}
	err = wrong()
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return
	}
	report(fault.Fault{
		Object: "cache images/" + startDir + "/" + file, What: err.Error(),
		Cure: fault.Remove, Mend: i.removal(startDir, file, wrong),
	})
}

// cause is an error without the path, of which the object has the part that counts.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
