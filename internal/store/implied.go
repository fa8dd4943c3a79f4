// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
)

// What some entries of an archive mean depends on the layers beneath.
//
// An archive may hold a/b without an entry for a. The layer then has a directory
// a that the archive only implies, with attributes that nobody gave it; and in a
// stack the newest layer's attributes count, so that a layer with "tmp/x" alone
// would take the sticky bit from /tmp. And it may have a hard link to a file that
// only a lower layer has (moby#16774).
//
// A layer is shared by stacks that differ there. So it stays as it is, and where
// it makes a difference a completion goes on top of it: a tree of those
// directories, and of copies of those files, alone, made once for each stack
// beneath and kept with the layer as implied/HEX, HEX being that of the chainID
// of what is beneath. An empty file of that name says that nothing is to be
// completed.
const (
	impliedList    = "implied.json"
	impliedDir     = "implied"
	impliedVersion = 1         // without links
	linkedVersion  = 2         // with links
	maxImplied     = 256 << 20 // bytes of the list: it has as many paths as the archive allowed
)

// implied is what a layer needs to know of those beneath.
type implied struct {
	directories []string
	links       []Link
}

// A Link is a hard link of a layer to a file that it has not itself.
type Link struct{ Path, Target string }

// An UnmetError is a layer's hard link to a file that the layers beneath have not.
type UnmetError struct {
	Link
	Err error
}

func (e *UnmetError) Error() string {
	return fmt.Sprintf("entry %s: hard link to %s: %v", show(e.Path), show(e.Target), e.Err)
}

func (e *UnmetError) Unwrap() error { return e.Err }

// show quotes a name with bytes that a terminal could take for something else.
func show(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

type impliedRecord struct {
	Version     int          `json:"version"`
	Directories [][]byte     `json:"directories"` // bytes: a name need not be UTF-8
	Links       []linkRecord `json:"links,omitempty"`
}

type linkRecord struct {
	Path   []byte `json:"path"`
	Target []byte `json:"target"`
}

// write lists in a staged layer what it implies, if anything.
func (i implied) write(dir *os.File) error {
	if len(i.directories) == 0 && len(i.links) == 0 {
		return nil
	}
	data, err := json.Marshal(i.record())
	if err != nil {
		return err
	}
	if err := unix.Mkdirat(int(dir.Fd()), impliedDir, 0o700); err != nil {
		return &os.PathError{Op: "mkdir", Path: dir.Name() + "/" + impliedDir, Err: err}
	}
	return durable.WriteFileRelaxed(dir, impliedList, data, 0o600)
}

func (i implied) record() impliedRecord {
	r := impliedRecord{Version: impliedVersion}
	for _, p := range i.directories {
		r.Directories = append(r.Directories, []byte(p))
	}
	for _, l := range i.links {
		r.Version = linkedVersion
		r.Links = append(r.Links, linkRecord{[]byte(l.Path), []byte(l.Target)})
	}
	return r
}

// readImplied reads the list of the layer in dir: os.ErrNotExist for one that
// says all itself.
func (s *Store) readImplied(dir string) (i implied, err error) {
	name := dir + "/" + impliedList
	data, err := durable.ReadFile(s.root, name, maxImplied)
	if err != nil {
		return i, err
	}
	var r impliedRecord
	err = json.Unmarshal(data, &r)
	if err == nil && r.Version != impliedVersion && r.Version != linkedVersion {
		err = fmt.Errorf("version %d, not %d or %d", r.Version, impliedVersion, linkedVersion)
	}
	for _, p := range r.Directories {
		err = errors.Join(err, checkPath(p))
		i.directories = append(i.directories, string(p))
	}
	for _, l := range r.Links {
		err = errors.Join(err, checkPath(l.Path), checkPath(l.Target))
		i.links = append(i.links, Link{string(l.Path), string(l.Target)})
	}
	if err != nil {
		return i, &os.PathError{Op: "read", Path: s.path(name), Err: err}
	}
	return i, nil
}

func checkPath(p []byte) error {
	if clean := path.Clean("/" + string(p)); string(p) != "." && clean != "/"+string(p) {
		return fmt.Errorf("%q is no path in a layer", p)
	}
	return nil
}
