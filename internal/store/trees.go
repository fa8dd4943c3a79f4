// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"os"

	"strata/internal/oci"
)

// A Tree is one of the directories that a stack is made of.
type Tree struct {
	Layer int // in the stack
	Dir   *os.File
	// Implied are the directories, "." among them, of whose attributes the layer
	// says nothing: its archive has something beneath them only. It is nil where
	// there are none.
	Implied map[string]bool
}

// Trees opens a stack as Lowers does, and says which layer each directory is of:
// what completes a layer comes after its own.
func (s *Store) Trees(stack []oci.Digest) (trees []Tree, err error) {
	var lowers []*os.File
	defer func() {
		if err != nil {
			closeAll(lowers)
			trees = nil
		}
	}()
	var beneath oci.Digest // the chainID of the layers so far
	for i, id := range stack {
		dir, err := s.Lower(id)
		if err != nil {
			return nil, err
		}
		lowers = append(lowers, dir)
		set, err := s.impliedSet(id)
		if err != nil {
			return nil, incomplete(id, err)
		}
		trees = append(trees, Tree{i, dir, set})
		if beneath == "" {
			beneath = id
			continue
		}
		completion, err := s.completion(pathOf(id), beneath, lowers)
		if err != nil {
			return nil, incomplete(id, err)
		}
		if completion != nil {
			lowers = append(lowers, completion)
			trees = append(trees, Tree{Layer: i, Dir: completion})
		}
		beneath = oci.ChainID([]oci.Digest{beneath, id})
	}
	return trees, nil
}

func (s *Store) impliedSet(id oci.Digest) (map[string]bool, error) {
	r, err := s.readImplied(pathOf(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	set := make(map[string]bool, len(r.directories))
	for _, p := range r.directories {
		set[p] = true
	}
	return set, err
}
