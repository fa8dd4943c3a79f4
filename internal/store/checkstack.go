// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/fault"
	"strata/internal/layer"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/overlay"
)

// CheckStack makes the completions of a stack again, aside, and compares them
// with those that are there. One that is not there is no fault: the first use of
// the stack makes it. idle calls a function while nobody uses the layer, or says
// who does. At a layer that is doubted, or is not there, it ends: what is above is
// made of that.
func (s *Store) CheckStack(ctx context.Context, stack []oci.Digest, doubted func(oci.Digest) bool, idle func(oci.Digest, func() error) error, report fault.Report) error {
	var lowers []*os.File
	defer func() { closeAll(lowers) }()
	var beneath oci.Digest
	for i, id := range stack {
		if err := ctx.Err(); err != nil {
			return err
		}
		tree, err := s.Lower(id)
		if err != nil || doubted(id) {
			tree.Close()
			return nil
		}
		lowers = append(lowers, tree)
		if i == 0 {
			beneath = id
			continue
		}
		c := completionCheck{store: s, id: id, name: pathOf(id) + "/" + impliedDir + "/" + beneath.Hex()}
		wrong, err := c.compare(ctx, lowers)
		if err != nil {
			return fmt.Errorf("check %s: %w", c.name, err)
		}
		if wrong != "" {
			report(c.fault(wrong, idle))
		}
		if dir, known, err := s.knownCompletion(c.name); err == nil && known && dir != nil {
			lowers = append(lowers, dir)
		}
		beneath = oci.ChainID([]oci.Digest{beneath, id})
	}
	return nil
}

// completionCheck compares a completion with what it should be.
type completionCheck struct {
	store *Store
	id    oci.Digest
	name  string
}

func (c *completionCheck) fault(wrong string, idle func(oci.Digest, func() error) error) fault.Fault {
	what := c.name[len(pathOf(c.id))+1:] + ": " + wrong
	return fault.Fault{
		Object: "layer " + string(c.id), What: what, Cure: fault.Cure{Will: "removes it: it is made anew at the next use", Did: "removed: it is made anew at the next use"},
		Mend: func() error {
			return idle(c.id, func() error { return ignoreNotExist(c.store.Trash(c.store.root, c.name)) })
		},
	}
}

// compare says what is wrong with the completion, "" for nothing.
func (c *completionCheck) compare(ctx context.Context, lowers []*os.File) (wrong string, err error) {
	st, err := linux.Lstat(c.store.fd(), c.name)
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	i, err := c.store.readImplied(pathOf(c.id))
	if err != nil { // CheckLayer reports what is wrong with the list
		return "", nil
	}
	want, err := c.make(ctx, i, lowers)
	if errors.Is(err, unix.EPERM) { // who may not mount cannot tell
		return "", nil
	}
	var unmet *UnmetError
	if errors.As(err, &unmet) {
		return err.Error(), nil
	}
	if err != nil {
		return "", err
	}
	return c.difference(ctx, st, want)
}

// difference compares what is there with the digest of what should be.
func (c *completionCheck) difference(ctx context.Context, st unix.Stat_t, want oci.Digest) (string, error) {
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFREG && want == "":
		return "", nil
	case kind == unix.S_IFREG:
		return "it says that nothing is to be completed, and something is", nil
	case kind != unix.S_IFDIR:
		return "it is no directory", nil
	}
	dir, err := c.store.open(c.name, unix.O_DIRECTORY)
	if err != nil {
		return "", ignoreNotExist(err)
	}
	defer dir.Close()
	got, err := c.digest(ctx, dir)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return err.Error(), nil
	}
	if got != want {
		return "it is not what the layers beneath show", nil
	}
	return "", nil
}

// make makes the completion aside and returns a digest of it, "" where there is
// nothing to complete.
func (c *completionCheck) make(ctx context.Context, i implied, lowers []*os.File) (id oci.Digest, err error) {
	beneath, err := c.store.mountBeneath(lowers)
	if err != nil {
		return "", err
	}
	defer beneath.Close()
	made := newCompleter(c.store.opts.Marks, beneath, lowers[len(lowers)-1])
	if err := made.look(i); err != nil || made.empty() {
		return "", err
	}
	st, err := c.store.Stage()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	tree, err := makeTree(st.dir())
	if err != nil {
		return "", err
	}
	defer tree.Close()
	if err := made.build(int(tree.Fd())); err != nil {
		return "", err
	}
	return c.digest(ctx, tree)
}

// mountBeneath mounts all but the newest of lowers.
func (s *Store) mountBeneath(lowers []*os.File) (*os.File, error) {
	empty, err := s.Dir("empty")
	if err != nil {
		return nil, err
	}
	defer empty.Close()
	return overlay.Stack{Lowers: lowers[:len(lowers)-1], UserXattr: s.opts.Marks.UserXattr, Empty: empty}.Mount()
}

// digest is that of the archive of a tree, which equal trees have alike.
func (c *completionCheck) digest(ctx context.Context, tree *os.File) (oci.Digest, error) {
	info, err := layer.Write(ctx, tree, io.Discard, nil, layer.WriteOptions{Marks: c.store.opts.Marks, Root: true})
	return info.DiffID, err
}

// A Replacement is a layer that has been made anew aside, for one that is
// damaged.
type Replacement struct {
	staging *Staging
	name    string // in the staging directory
	id      oci.Digest
}

// Replace makes the layer id anew of a blob, with the other blobs that were kept
// with it. Nothing is changed before Exchange. The caller closes what it returns.
func (s *Store) Replace(ctx context.Context, id oci.Digest, blob io.Reader, opts BlobOptions) (_ *Replacement, err error) {
	st, err := s.Stage()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.Close())
		}
	}()
	opts.Expect = id
	if _, _, err := st.ApplyBlob(ctx, blob, opts); err != nil {
		return nil, err
	}
	r := &Replacement{st, st.staged[0].name, id}
	if err := r.keepBlobs(ctx); err != nil {
		return nil, err
	}
	return r, durable.SyncFS(st.dir())
}

// keepBlobs links the blobs of the old layer that are whole into the new one.
func (r *Replacement) keepBlobs(ctx context.Context) error {
	old, err := r.staging.store.open(pathOf(r.id), unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer old.Close()
	entries, err := linux.ReadDir(int(old.Fd()))
	if err != nil {
		return err
	}
	c := &layerCheck{store: r.staging.store, id: r.id, dir: old}
	for _, e := range entries {
		hex, ok := strings.CutPrefix(e.Name, blobPrefix)
		if !ok {
			continue
		}
		c.Blob = ""
		if err := c.blob(ctx, e.Name, "sha256:"+hex); err != nil {
			return err
		}
		if c.Blob == "" {
			continue
		}
		err := unix.Linkat(int(old.Fd()), e.Name, int(r.staging.dir().Fd()), r.name+"/"+e.Name, 0)
		if err := ignoreExist(err); err != nil {
			return &os.PathError{Op: "link", Path: e.Name, Err: err}
		}
	}
	return nil
}

// Exchange puts the new layer in the place of the old one, which goes to the
// trash. It is one step: a reader finds the one or the other.
// The caller has seen to it that nobody uses the layer.
func (r *Replacement) Exchange() error {
	s := r.staging.store
	layers, err := s.open(layerDir, unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer layers.Close()
	err = unix.Renameat2(int(r.staging.dir().Fd()), r.name, int(layers.Fd()), r.id.Hex(), unix.RENAME_EXCHANGE)
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: r.staging.dir().Name() + "/" + r.name, New: s.path(pathOf(r.id)), Err: err}
	}
	return errors.Join(durable.Sync(layers), s.Trash(r.staging.dir(), r.name))
}

// Close discards the new layer, if it has not been exchanged.
func (r *Replacement) Close() error { return r.staging.Close() }
