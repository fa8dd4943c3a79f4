// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/overlay"
)

// Lowers opens the directories to use as lowerdirs for a stack of layers, oldest
// first: one for each layer, and one more where a layer needs completion. The
// caller, who holds the store's shared lock or a reference to the layers, closes
// them. The error for a layer that is not there is os.ErrNotExist.
func (s *Store) Lowers(stack []oci.Digest) (lowers []*os.File, err error) {
	return s.lowers(stack, pathOf)
}

// Complete checks that in a stack, oldest first, of layers that are in the store
// or applied here, each has beneath it what it needs, and makes what completes
// it, and that the kernel can stack so many. The error is an *UnmetError for a
// layer that has not. Without Complete the first Lowers of the stack does so. The
// caller holds the store's shared lock.
func (st *Staging) Complete(stack []oci.Digest) error {
	if len(stack) == 0 {
		return nil
	}
	if err := st.store.checkBase(st.where(stack[0])); err != nil {
		return incomplete(stack[0], err)
	}
	lowers, err := st.store.lowers(stack, st.where)
	closeAll(lowers)
	if err == nil && len(lowers) > overlay.MaxLowers {
		err = fmt.Errorf("%d layers, %d of them to complete others: the kernel stacks at most %d", len(lowers), len(lowers)-len(stack), overlay.MaxLowers)
	}
	return err
}

// where is the path of a layer's directory: that of a layer that was applied here
// goes into the store as it is, with what completes it.
func (st *Staging) where(id oci.Digest) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, l := range st.staged {
		if l.layer.DiffID == id {
			return stagingDir + "/" + base(st.dir()) + "/" + l.name
		}
	}
	return pathOf(id)
}

func (s *Store) lowers(stack []oci.Digest, where func(oci.Digest) string) (lowers []*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(lowers)
			lowers = nil
		}
	}()
	var beneath oci.Digest // the chainID of the layers so far
	for _, id := range stack {
		tree, err := s.lowerIn(where(id), id)
		if err != nil {
			return lowers, err
		}
		lowers = append(lowers, tree)
		if beneath == "" {
			beneath = id
			continue
		}
		completion, err := s.completion(where(id), beneath, lowers)
		if err != nil {
			return lowers, incomplete(id, err)
		}
		if completion != nil {
			lowers = append(lowers, completion)
		}
		beneath = oci.ChainID([]oci.Digest{beneath, id})
	}
	return lowers, nil
}

func incomplete(id oci.Digest, err error) error {
	return fmt.Errorf("layer %s: complete it over the layers beneath: %w", id, err)
}

// checkBase checks that the layer in dir needs nothing beneath it.
func (s *Store) checkBase(dir string) error {
	r, err := s.readImplied(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(r.links) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return &UnmetError{Link: r.links[0], Err: errors.New("the layer is the first one and has no such file")}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// completion opens what goes on top of the layer in dir, the last of lowers, or
// returns nil if nothing does.
func (s *Store) completion(dir string, beneath oci.Digest, lowers []*os.File) (*os.File, error) {
	name := dir + "/" + impliedDir + "/" + beneath.Hex()
	f, known, err := s.knownCompletion(name)
	if known || err != nil {
		return f, err
	}
	r, err := s.readImplied(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = s.complete(r, lowers, name)
	if errors.Is(err, unix.EPERM) && len(r.links) == 0 { // who may not mount only reads the stack, to compare it
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, _, err = s.knownCompletion(name)
	return f, err
}

// knownCompletion opens a completion that was made before; nil is one that says
// that there is nothing to complete. Every start asks, for each layer.
func (s *Store) knownCompletion(name string) (dir *os.File, known bool, err error) {
	st, err := linux.Lstat(s.fd(), name)
	switch {
	case err == unix.ENOENT:
		return nil, false, nil
	case err != nil:
		return nil, false, &os.PathError{Op: "stat", Path: s.path(name), Err: err}
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return nil, true, nil
	}
	dir, err = s.open(name, unix.O_DIRECTORY)
	return dir, true, err
}

// complete makes the completion called name. The kernel itself says what the
// layers beneath show: they are mounted.
func (s *Store) complete(r implied, lowers []*os.File, name string) error {
	top := lowers[len(lowers)-1]
	empty, err := s.Dir("empty")
	if err != nil {
		return err
	}
	defer empty.Close()
	stack := overlay.Stack{Lowers: lowers[:len(lowers)-1], UserXattr: s.opts.Marks.UserXattr, Empty: empty}
	mounted, err := stack.Mount()
	if err != nil {
		return err
	}
	defer mounted.Close()
	c := newCompleter(s.opts.Marks, mounted, top)
	if err := c.look(r); err != nil {
		return err
	}
	if c.empty() {
		return s.nothingToComplete(name)
	}
	return s.publishCompletion(c, name)
}

func (s *Store) nothingToComplete(name string) error {
	fd, err := linux.OpenAt(s.fd(), name, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW, 0o600)
	if err != nil && err != unix.EISDIR { // somebody else saw something
		return &os.PathError{Op: "create", Path: s.path(name), Err: err}
	}
	if err == nil {
		unix.Close(fd)
	}
	return nil
}

func (s *Store) publishCompletion(c *completer, name string) (err error) {
	st, err := s.Stage()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	tree, err := makeTree(st.dir())
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := c.build(int(tree.Fd())); err != nil {
		return err
	}
	if !strings.HasPrefix(name, stagingDir+"/") { // Publish does
		if err := durable.SyncFS(tree); err != nil {
			return err
		}
	}
	return ignoreExist(durable.RenameNew(st.dir(), treeName, s.root, name))
}
