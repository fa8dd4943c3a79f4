// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/fault"
	"strata/internal/layer"
	"strata/internal/linux"
	"strata/internal/oci"
)

// maxDifferences is how many of a layer are told one by one: whoever has changed
// all of a tree need not be told so file by file.
const maxDifferences = 20

// LayerCheck is what CheckLayer found.
type LayerCheck struct {
	Faults []fault.Fault
	// Damaged: the tree or its record is not what was published, and all of it must
	// be made anew.
	Damaged bool
	// Doubtful: what the layer implies cannot be known before the faults are mended.
	Doubtful bool
	// Blob is one that is whole and that the layer can be made of, "" for none.
	Blob oci.Digest
}

// CheckLayer makes the layer's archive again and compares its digest, compares
// the rest of the tree with what the archive says, and checks all that is kept
// with the layer, its completions excepted. A layer that is removed meanwhile has
// no faults. The error is for what could not be checked.
func (s *Store) CheckLayer(ctx context.Context, id oci.Digest) (LayerCheck, error) {
	dir, err := s.open(pathOf(id), unix.O_DIRECTORY)
	if errors.Is(err, os.ErrNotExist) {
		return LayerCheck{}, nil
	}
	if err != nil {
		return LayerCheck{}, fmt.Errorf("layer %s: %w", id, err)
	}
	defer dir.Close()
	c := &layerCheck{store: s, id: id, dir: dir}
	if !hasTree(dir) {
		return c.unfinished()
	}
	err = c.run(ctx)
	if !s.isThere(id, dir) { // removed, or made anew, and perhaps no longer whole
		return LayerCheck{}, nil
	}
	if err != nil {
		return c.LayerCheck, fmt.Errorf("layer %s: %w", id, err)
	}
	return c.LayerCheck, nil
}

// isThere reports whether dir is still the layer's directory.
func (s *Store) isThere(id oci.Digest, dir *os.File) bool {
	ours, err := linux.Fstat(int(dir.Fd()))
	if err != nil {
		return true
	}
	there, err := linux.Lstat(s.fd(), pathOf(id))
	return err == nil && there.Ino == ours.Ino && there.Dev == ours.Dev
}

type layerCheck struct {
	LayerCheck
	store *Store
	id    oci.Digest
	dir   *os.File
	more  int // differences that are not told
}

func (c *layerCheck) add(what string, args ...any) *fault.Fault {
	c.Faults = append(c.Faults, fault.Fault{Object: "layer " + string(c.id), What: fmt.Sprintf(what, args...)})
	return &c.Faults[len(c.Faults)-1]
}

// damaged is a fault that only making the layer anew mends.
func (c *layerCheck) damaged(what string, args ...any) {
	c.Damaged, c.Doubtful = true, true
	c.add(what, args...).Detail = true
}

// unfinished is a layer that somebody is sealing, or was when he was killed.
func (c *layerCheck) unfinished() (LayerCheck, error) {
	locked, err := durable.IsLocked(c.dir)
	if err != nil || locked || hasTree(c.dir) || !c.store.isThere(c.id, c.dir) {
		return LayerCheck{}, err
	}
	f := c.add("a commit was interrupted before it had its tree")
	f.Leftover, f.Cure = true, fault.Trash
	f.Mend = func() error {
		_, err := c.store.settle(c.id)
		return err
	}
	return c.LayerCheck, nil
}

func (c *layerCheck) run(ctx context.Context) error {
	if err := c.blobs(ctx); err != nil {
		return err
	}
	tree, err := c.store.Lower(c.id)
	if errors.Is(err, os.ErrNotExist) {
		return nil // isThere will say that it is not
	}
	if err != nil {
		c.damaged("%v", err)
		return nil
	}
	if _, err := durable.Share(tree); err != nil { // closes with tree; so nobody deletes it from the trash
		return errors.Join(err, tree.Close())
	}
	defer tree.Close()
	r, recordErr := c.record()
	how := r.making
	if recordErr != nil {
		how = c.likely(tree)
	}
	v, err := c.verify(ctx, tree, how)
	if err != nil {
		return err
	}
	if !c.Damaged {
		c.compareRecord(r, recordErr, v.Info, how)
		c.compareImplied(v)
		c.usage(tree)
	}
	return nil
}

func (c *layerCheck) record() (r layerRecord, err error) {
	data, err := durable.ReadFile(c.dir, recordName, maxRecord)
	if err == nil {
		err = r.parse(data, c.id)
	}
	return r, err
}

// likely guesses how a tree was made that has no record: Apply leaves no parts of
// seconds in the time of the root directory, and an upperdir always has them.
func (c *layerCheck) likely(tree *os.File) making {
	st, err := linux.Fstat(int(tree.Fd()))
	return making{Sealed: err == nil && st.Mtim.Nsec != 0, OneID: c.store.opts.Unprivileged}
}

// verify compares the tree with its archive. What keeps it from being read is
// damage, unless it is ctx.
func (c *layerCheck) verify(ctx context.Context, tree *os.File, how making) (layer.Verified, error) {
	archive, err := openIn(c.dir, archiveName, 0)
	if err != nil {
		return c.withoutArchive(ctx, tree, how, c.fileError(err, archiveName))
	}
	defer archive.Close()
	scratch, err := c.store.open(stagingDir, unix.O_DIRECTORY)
	if err != nil {
		return layer.Verified{}, err
	}
	defer scratch.Close()
	opts := layer.VerifyOptions{
		Marks: c.store.opts.Marks, UserNamespace: c.store.opts.UserNamespace, Unprivileged: how.OneID,
		Sealed: how.Sealed, Since: c.finished(archive), Scratch: scratch, Report: c.difference,
	}
	if how.Epoch != nil {
		epoch := time.Unix(*how.Epoch, 0)
		opts.Epoch = &epoch
	}
	v, err := layer.Verify(ctx, tree, archive, opts)
	if ctx.Err() != nil {
		return v, ctx.Err()
	}
	if err != nil {
		return c.withoutArchive(ctx, tree, how, "its archive cannot be made again: "+err.Error())
	}
	c.tell(v)
	return v, nil
}

// finished is when the record of the archive got its last byte, soon after the
// last entry of the tree.
func (c *layerCheck) finished(archive *os.File) time.Time {
	st, err := linux.Fstat(int(archive.Fd()))
	if err != nil {
		return time.Time{}
	}
	return time.Unix(st.Mtim.Sec, st.Mtim.Nsec).Add(time.Second)
}

func (c *layerCheck) difference(d layer.Difference) {
	c.Damaged = true
	if len(c.Faults) >= maxDifferences {
		c.more++
		return
	}
	c.damaged("%s", d)
}

// tell says what Verify found beside the differences.
func (c *layerCheck) tell(v layer.Verified) {
	switch {
	case c.more > 0:
		c.damaged("%d more entries differ", c.more)
	case c.Damaged, v.DiffID == c.id:
	case len(v.Later) > 0 && len(v.Later) <= maxDifferences:
		c.damaged("the content of files has changed, probably of %s: the archive's digest is now %s", strings.Join(v.Later, ", "), v.DiffID)
	default:
		c.damaged("the content of a file has changed: the archive's digest is now %s", v.DiffID)
	}
}

// compareRecord compares layer.json with the archive. The archive is right: its
// digest is the layer's name.
func (c *layerCheck) compareRecord(r layerRecord, recordErr error, info layer.Info, how making) {
	want := layerRecord{layerVersion, c.id, formDirectory, info.ArchiveSize, info.ContentSize, info.Entries, info.Newest.Unix(), how}
	if recordErr == nil && r.same(want) {
		return
	}
	what := recordName + ": it does not say what the archive has"
	if recordErr != nil {
		what = c.fileError(recordErr, recordName)
	}
	f := c.add("%s", what)
	f.Cure = fault.Remake
	f.Mend = func() error {
		data, err := marshalRecord(info, how)
		if err != nil {
			return err
		}
		return c.store.rewrite(c.id, recordName, data)
	}
}

func (r layerRecord) same(other layerRecord) bool {
	r.making, other.making = making{}, making{}
	return r == other
}

// fileError is the cause without the path, of which the line has the part that
// counts.
func (c *layerCheck) fileError(err error, name string) string {
	return name + ": " + cause(err).Error()
}

// compareImplied compares implied.json with the archive.
func (c *layerCheck) compareImplied(v layer.Verified) {
	want := implied{directories: v.Implied}
	for _, p := range slices.Sorted(maps.Keys(v.Linked)) {
		want.links = append(want.links, Link{p, v.Linked[p]})
	}
	got, err := c.store.readImplied(pathOf(c.id))
	if errors.Is(err, os.ErrNotExist) && want.empty() {
		return
	}
	if err == nil && !want.same(got) {
		err = errors.New("it does not say what the archive has")
	}
	if _, statErr := linux.Lstat(int(c.dir.Fd()), impliedDir); err == nil && statErr != nil {
		err = fmt.Errorf("%s/: %w", impliedDir, statErr)
	}
	if err == nil {
		return
	}
	c.Doubtful = true
	f := c.add("%s", c.fileError(err, impliedList))
	f.Cure = fault.Remake
	f.Mend = func() error { return c.store.rewriteImplied(c.id, want) }
}
