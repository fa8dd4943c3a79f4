// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/fault"
	"strata/internal/linux"
	"strata/internal/oci"
)

// blobs compares each kept blob with its digest.
func (c *layerCheck) blobs(ctx context.Context) error {
	entries, err := linux.ReadDir(int(c.dir.Fd()))
	if err != nil {
		return err
	}
	for _, e := range entries {
		hex, ok := strings.CutPrefix(e.Name, blobPrefix)
		if !ok {
			continue
		}
		if err := c.blob(ctx, e.Name, "sha256:"+hex); err != nil {
			return err
		}
	}
	return nil
}

func (c *layerCheck) blob(ctx context.Context, name, digest string) error {
	want, err := oci.ParseDigest(digest)
	var got oci.Digest
	if err == nil {
		got, err = digestOf(ctx, c.dir, name)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && got == want {
		c.Blob = want
		return nil
	}
	what := name + ": its content has the digest " + string(got)
	if err != nil {
		what = c.fileError(err, name)
	}
	f := c.add("%s", what)
	f.Cure = fault.Remove
	f.Mend = func() error { return c.store.drop(c.id, name) }
	return nil
}

// digestOf is the digest of a file's content.
func digestOf(ctx context.Context, dir *os.File, name string) (oci.Digest, error) {
	fd, err := linux.OpenAt(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	hash := sha256.New()
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := linux.FD(fd).Read(buf)
		hash.Write(buf[:n])
		if err == io.EOF {
			return oci.FromSum(hash.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// usage compares what was measured with the tree. Blocks are no part of it: the
// filesystem gives them when it writes, which may be later.
func (c *layerCheck) usage(tree *os.File) {
	data, err := durable.ReadFile(c.dir, usageName, maxRecord)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	what := usageName + ": it does not say what the tree takes"
	var r usageRecord
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		what = c.fileError(err, usageName)
	} else if now, err := Measure(tree); err != nil || r.Version == usageVersion && r.Apparent == now.Apparent && r.Inodes == now.Inodes {
		return
	}
	f := c.add("%s", what)
	f.Cure = fault.Remove
	f.Mend = func() error { return c.store.drop(c.id, usageName) }
}

// drop removes a file of the layer that nobody needs.
func (s *Store) drop(id oci.Digest, name string) error {
	return s.inLayer(id, func(dir *os.File) error {
		return ignoreNotExist(unix.Unlinkat(int(dir.Fd()), name, 0))
	})
}

// rewrite puts another file in the place of one of the layer.
func (s *Store) rewrite(id oci.Digest, name string, data []byte) error {
	return s.inLayer(id, func(dir *os.File) error { return durable.WriteFile(dir, name, data, 0o600) })
}

// rewriteImplied also removes the list where there is nothing to say.
func (s *Store) rewriteImplied(id oci.Digest, i implied) error {
	return s.inLayer(id, func(dir *os.File) error {
		if i.empty() {
			return ignoreNotExist(unix.Unlinkat(int(dir.Fd()), impliedList, 0))
		}
		if err := ignoreExist(unix.Mkdirat(int(dir.Fd()), impliedDir, 0o700)); err != nil {
			return &os.PathError{Op: "mkdir", Path: dir.Name() + "/" + impliedDir, Err: err}
		}
		data, err := json.Marshal(i.record())
		if err != nil {
			return err
		}
		return durable.WriteFile(dir, impliedList, data, 0o600)
	})
}

// inLayer calls f with the layer's directory, unless it is gone.
func (s *Store) inLayer(id oci.Digest, f func(dir *os.File) error) error {
	dir, err := s.open(pathOf(id), unix.O_DIRECTORY)
	if err != nil {
		return ignoreNotExist(err)
	}
	defer dir.Close()
	return f(dir)
}

func (i implied) empty() bool { return len(i.directories) == 0 && len(i.links) == 0 }

// same compares two lists, whatever their order.
func (i implied) same(other implied) bool {
	return maps.Equal(i.set(), other.set())
}

func (i implied) set() map[Link]bool {
	set := make(map[Link]bool, len(i.directories)+len(i.links))
	for _, p := range i.directories {
		set[Link{Path: p}] = true
	}
	for l := range slices.Values(i.links) {
		set[l] = true
	}
	return set
}
