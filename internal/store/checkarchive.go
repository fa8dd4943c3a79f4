// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/fault"
	"strata/internal/layer"
	"strata/internal/oci"
)

// withoutArchive is for a layer whose record of the archive is gone or damaged.
// That of an upperdir Write writes again, if the tree is what it was; any other
// archive is not to be had from the tree alone.
func (c *layerCheck) withoutArchive(ctx context.Context, tree *os.File, how making, what string) (layer.Verified, error) {
	if !how.Sealed || c.Damaged {
		c.damaged("%s", what)
		return layer.Verified{}, nil
	}
	for _, root := range []bool{false, true} {
		opts := c.store.writeOptions(how, root)
		info, err := layer.Write(ctx, tree, io.Discard, nil, opts)
		if ctx.Err() != nil {
			return layer.Verified{}, ctx.Err()
		}
		if err != nil || info.DiffID != c.id {
			continue
		}
		f := c.add("%s", what)
		f.Cure = fault.Remake
		store, id := c.store, c.id
		f.Mend = func() error { return store.rewriteArchive(ctx, id, opts) }
		v := layer.Verified{Info: info}
		if !root {
			v.Implied = []string{"."}
		}
		return v, nil
	}
	c.damaged("%s", what)
	return layer.Verified{}, nil
}

func (s *Store) writeOptions(how making, root bool) layer.WriteOptions {
	o := layer.WriteOptions{Marks: s.opts.Marks, Root: root}
	if how.Epoch != nil {
		epoch := time.Unix(*how.Epoch, 0)
		o.Epoch = &epoch
	}
	return o
}

// rewriteArchive writes the record of a sealed layer's archive anew.
func (s *Store) rewriteArchive(ctx context.Context, id oci.Digest, opts layer.WriteOptions) error {
	return s.inLayer(id, func(dir *os.File) error {
		st, err := s.Stage()
		if err != nil {
			return err
		}
		return errors.Join(s.archiveInto(ctx, dir, st.dir(), id, opts), st.Close())
	})
}

// archiveInto makes the file in the staging directory, and renames it into the
// layer's.
func (s *Store) archiveInto(ctx context.Context, dir, staging *os.File, id oci.Digest, opts layer.WriteOptions) error {
	tree, err := s.Lower(id)
	if err != nil {
		return err
	}
	defer tree.Close()
	var info layer.Info
	err = withRecord(staging, func(record io.Writer) (err error) {
		info, err = layer.Write(ctx, tree, io.Discard, record, opts)
		return err
	})
	if err == nil && info.DiffID != id {
		err = errors.New("the tree has changed since")
	}
	if err == nil {
		err = durable.SyncFS(staging)
	}
	if err != nil {
		return err
	}
	err = unix.Renameat(int(staging.Fd()), archiveName, int(dir.Fd()), archiveName)
	return errors.Join(os.NewSyscallError("rename", err), durable.Sync(dir))
}
