// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/oci"
)

const blobDir = "blobs/sha256"

// Blob reads the manifest or config with the given digest and checks that the
// bytes have it.
func (i *Images) Blob(digest oci.Digest) ([]byte, error) {
	name := blobDir + "/" + digest.Hex()
	data, err := durable.ReadFile(i.dir, name, oci.MaxDocument)
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", digest, err)
	}
	if got := oci.FromBytes(data); got != digest {
		return nil, fmt.Errorf("read blob %s: %s/%s: the content has the digest %s", digest, i.dir.Name(), name, got)
	}
	return data, nil
}

// putBlobs adds what is not there yet to the batch, in order. A file with other content is written anew: a crash of some other tool,
// or of a disk, must not last for ever (moby#49784).
func (i *Images) putBlobs(b *durable.Batch, blobs ...[]byte) error {
	dir, err := i.open(blobDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, data := range blobs {
		digest := oci.FromBytes(data)
		if _, err := i.Blob(digest); err == nil {
			continue
		}
		if err := b.WriteFile(dir, digest.Hex(), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// open opens a subdirectory for listing, writing and syncing.
func (i *Images) open(name string) (*os.File, error) {
	path := i.dir.Name() + "/" + name
	fd, err := linux.OpenAt(int(i.dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// blobs lists the digests of the blobs in order.
func (i *Images) blobs() (digests []oci.Digest, err error) {
	names, err := i.list(blobDir)
	errs := []error{err}
	for _, name := range names {
		digest, err := oci.ParseDigest("sha256:" + name)
		if err != nil {
			errs = append(errs, fmt.Errorf("list blobs: %s/%s/%s: %w", i.dir.Name(), blobDir, name, err))
			continue
		}
		digests = append(digests, digest)
	}
	return digests, errors.Join(errs...)
}

// list returns the entries of a subdirectory without what a killed write left.
func (i *Images) list(name string) (names []string, err error) {
	dir, err := i.open(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := linux.ReadDir(int(dir.Fd()))
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: dir.Name(), Err: err}
	}
	for _, e := range entries {
		if !durable.IsTemporary(e.Name) {
			names = append(names, e.Name)
		}
	}
	return names, nil
}

// Swept says what Sweep removed.
type Swept struct {
	Blobs int
	Bytes int64
}

// Sweep removes every blob that neither a name nor keep, a set of manifests,
// leads to, and what killed writes left behind. The caller holds the store's
// exclusive lock. If anything cannot be read nothing is removed: what it led to
// would be lost.
func (i *Images) Sweep(keep map[oci.Digest]bool) (swept Swept, err error) {
	used, err := i.reachable(keep)
	if err != nil {
		return swept, fmt.Errorf("sweep images: %w", err)
	}
	for _, name := range []string{blobDir, nameDir, startDir} {
		if err := i.sweepDir(name, used, &swept); err != nil {
			return swept, fmt.Errorf("sweep images: %w", err)
		}
	}
	return swept, nil
}

// reachable is the set of the file names that must stay among the blobs.
func (i *Images) reachable(keep map[oci.Digest]bool) (map[string]bool, error) {
	records, err := i.records()
	if err != nil {
		return nil, err
	}
	manifests := make(map[oci.Digest]bool)
	for digest := range keep {
		manifests[digest] = true
	}
	for _, r := range records {
		manifests[r.Manifest] = true
	}
	used := make(map[string]bool)
	for digest := range manifests {
		m, err := i.manifest(digest)
		if err != nil {
			return nil, err
		}
		used[digest.Hex()], used[m.Config.Digest.Hex()] = true, true
	}
	return used, nil
}

// sweepDir removes the temporary files of a directory, and of the blobs those
// that are not used.
func (i *Images) sweepDir(name string, used map[string]bool, swept *Swept) error {
	dir, err := i.open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	entries, err := linux.ReadDir(int(dir.Fd()))
	if err != nil {
		return &os.PathError{Op: "read", Path: dir.Name(), Err: err}
	}
	for _, e := range entries {
		if used[e.Name] || name == nameDir && !durable.IsTemporary(e.Name) {
			continue
		}
		st, err := linux.Lstat(int(dir.Fd()), e.Name)
		if err == nil {
			err = unix.Unlinkat(int(dir.Fd()), e.Name, 0)
		}
		if err != nil {
			return &os.PathError{Op: "remove", Path: dir.Name() + "/" + e.Name, Err: err}
		}
		if name != startDir { // those come back when they are needed
			swept.Blobs++
			swept.Bytes += st.Size
		}
	}
	return durable.Sync(dir)
}
