// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/overlay"
)

// An archive may hold a/b without an entry for a. The layer then has a directory
// a that the archive only implies, with attributes that nobody gave it; and in a
// stack the newest layer's attributes count, so that a layer with "tmp/x" alone
// would take the sticky bit from /tmp. What such a directory should have depends
// on the layers beneath, and a layer is shared by stacks that differ there. So
// the layer stays as it is, and where it makes a difference a completion goes on
// top of it: a tree of those directories alone, made once for each stack beneath
// and kept with the layer as implied/HEX, HEX being that of the chainID of what
// is beneath. An empty file of that name says that nothing is to be completed.
const (
	impliedList    = "implied.json"
	impliedDir     = "implied"
	impliedVersion = 1
	maxImplied     = 256 << 20 // bytes of the list: it has as many paths as the archive allowed
)

type impliedRecord struct {
	Version     int      `json:"version"`
	Directories [][]byte `json:"directories"` // bytes: a name need not be UTF-8
}

// writeImplied lists the implied directories of a staged layer, if it has any.
func writeImplied(dir *os.File, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	r := impliedRecord{Version: impliedVersion}
	for _, p := range paths {
		r.Directories = append(r.Directories, []byte(p))
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := unix.Mkdirat(int(dir.Fd()), impliedDir, 0o700); err != nil {
		return &os.PathError{Op: "mkdir", Path: dir.Name() + "/" + impliedDir, Err: err}
	}
	return durable.WriteFileRelaxed(dir, impliedList, data, 0o600)
}

// readImplied returns os.ErrNotExist for a layer that says all itself.
func (s *Store) readImplied(id oci.Digest) (paths []string, err error) {
	name := pathOf(id) + "/" + impliedList
	data, err := durable.ReadFile(s.root, name, maxImplied)
	if err != nil {
		return nil, err
	}
	var r impliedRecord
	err = json.Unmarshal(data, &r)
	if err == nil && r.Version != impliedVersion {
		err = fmt.Errorf("version %d, not %d", r.Version, impliedVersion)
	}
	for _, p := range r.Directories {
		if clean := path.Clean(string(p)); clean != string(p) || path.IsAbs(clean) {
			err = errors.Join(err, fmt.Errorf("%q is no path in a layer", p))
		}
		paths = append(paths, string(p))
	}
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: s.path(name), Err: err}
	}
	return paths, nil
}

// Lowers opens the directories to use as lowerdirs for a stack of layers, oldest
// first: one for each layer, and one more where a layer's implied directories
// need completion. The caller, who holds the store's shared lock or a reference
// to the layers, closes them. The error for a layer that is not there is
// os.ErrNotExist.
func (s *Store) Lowers(stack []oci.Digest) (lowers []*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(lowers)
			lowers = nil
		}
	}()
	var beneath oci.Digest // the chainID of the layers so far
	for _, id := range stack {
		tree, err := s.Lower(id)
		if err != nil {
			return lowers, err
		}
		lowers = append(lowers, tree)
		if beneath == "" {
			beneath = id
			continue
		}
		completion, err := s.completion(id, beneath, lowers)
		if err != nil {
			return lowers, fmt.Errorf("layer %s: complete implied directories: %w", id, err)
		}
		if completion != nil {
			lowers = append(lowers, completion)
		}
		beneath = oci.ChainID([]oci.Digest{beneath, id})
	}
	return lowers, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// completion opens what goes on top of the layer id, the last of lowers, or
// returns nil if nothing does.
func (s *Store) completion(id, beneath oci.Digest, lowers []*os.File) (*os.File, error) {
	name := pathOf(id) + "/" + impliedDir + "/" + beneath.Hex()
	dir, known, err := s.knownCompletion(name)
	if known || err != nil {
		return dir, err
	}
	paths, err := s.readImplied(id)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = s.complete(paths, lowers, name)
	if errors.Is(err, unix.EPERM) { // who may not mount only reads the stack, to compare it
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	dir, _, err = s.knownCompletion(name)
	return dir, err
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
func (s *Store) complete(paths []string, lowers []*os.File, name string) error {
	top := lowers[len(lowers)-1]
	empty, err := s.Dir("empty")
	if err != nil {
		return err
	}
	defer empty.Close()
	stack := overlay.Stack{Lowers: lowers[:len(lowers)-1], UserXattr: s.opts.Marks.UserXattr, Empty: empty}
	beneath, err := stack.Mount()
	if err != nil {
		return err
	}
	defer beneath.Close()
	c := completer{marks: s.opts.Marks, beneath: int(beneath.Fd()), layer: int(top.Fd()), given: map[string]attributes{}}
	for _, p := range paths {
		if err := c.look(p); err != nil {
			return &os.PathError{Op: "look up", Path: p, Err: err}
		}
	}
	if len(c.given) == 0 {
		return s.nothingToComplete(name)
	}
	return s.publishCompletion(&c, name)
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
	if err := durable.SyncFS(tree); err != nil {
		return err
	}
	return ignoreExist(durable.RenameNew(st.dir(), treeName, s.root, name))
}
