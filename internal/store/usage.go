// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/oci"
)

const usageVersion = 1

// Usage is what a tree takes on disk. A file with several names counts once.
type Usage struct {
	Apparent  int64 `json:"apparent"`  // bytes that regular files and links say they have
	Allocated int64 `json:"allocated"` // bytes of all blocks, which a removal gives back
	Inodes    int64 `json:"inodes"`
}

type usageRecord struct {
	Version int `json:"version"`
	Usage
}

// Usage measures a layer: its tree, and the blocks of what is kept beside it, the
// record of its archive, its blob as it came, and what completes it in stacks.
func (s *Store) Usage(id oci.Digest) (Usage, error) {
	u, err := s.treeUsage(id)
	if err == nil {
		u.Allocated += s.besideTree(pathOf(id))
	}
	return u, err
}

// besideTree is what kept blobs and completions take of the layer in dir. They
// come and go, so nothing of it is kept. What cannot be read counts as nothing.
func (s *Store) besideTree(dir string) (allocated int64) {
	entries, _ := s.list(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name, blobPrefix) {
			continue
		}
		if st, err := linux.Lstat(s.fd(), dir+"/"+e.Name); err == nil {
			allocated += st.Blocks * 512
		}
	}
	completions, _ := s.list(dir + "/" + impliedDir)
	for _, e := range completions {
		if c, err := s.open(dir+"/"+impliedDir+"/"+e.Name, unix.O_DIRECTORY); err == nil { // a file says that there is none
			u, _ := Measure(c)
			allocated += u.Allocated
			c.Close()
		}
	}
	return allocated
}

// treeUsage measures the tree and the record of the archive. They never change,
// so it is done once and the result kept.
func (s *Store) treeUsage(id oci.Digest) (Usage, error) {
	if u, ok := s.knownUsage(id); ok {
		return u, nil
	}
	tree, err := s.Lower(id)
	if err != nil {
		return Usage{}, err
	}
	defer tree.Close()
	u, err := Measure(tree)
	if err != nil {
		return Usage{}, fmt.Errorf("layer %s: %w", id, err)
	}
	if st, err := linux.Lstat(s.fd(), pathOf(id)+"/"+archiveName); err == nil {
		u.Allocated += st.Blocks * 512
	}
	s.keepUsage(id, u) // a full disk, on which this is asked, is no reason not to answer
	return u, nil
}

// knownUsage reads what an earlier Usage kept. A record that cannot be read is
// as good as none.
func (s *Store) knownUsage(id oci.Digest) (Usage, bool) {
	data, err := durable.ReadFile(s.root, pathOf(id)+"/"+usageName, maxRecord)
	if err != nil {
		return Usage{}, false
	}
	var r usageRecord
	err = json.Unmarshal(data, &r)
	ok := err == nil && r.Version == usageVersion && r.Apparent >= 0 && r.Allocated >= 0 && r.Inodes > 0
	return r.Usage, ok
}

func (s *Store) keepUsage(id oci.Digest, u Usage) error {
	data, err := json.Marshal(usageRecord{usageVersion, u})
	if err != nil {
		return err
	}
	dir, err := s.open(pathOf(id), unix.O_DIRECTORY)
	if err != nil {
		return s.layerError(id, err)
	}
	defer dir.Close()
	return durable.WriteFileRelaxed(dir, usageName, data, 0o600)
}

// Measure walks the tree of the open directory dir, which it counts too. It does
// not go into mounts.
func Measure(dir *os.File) (Usage, error) {
	m := measure{seen: make(map[inode]bool)}
	st, err := linux.Fstat(int(dir.Fd()))
	if err != nil {
		return Usage{}, &os.PathError{Op: "stat", Path: dir.Name(), Err: err}
	}
	m.add(&st)
	err = m.walk(int(dir.Fd()), dir.Name())
	return m.Usage, err
}

type inode struct{ dev, ino uint64 }

type measure struct {
	Usage
	seen map[inode]bool // files with more than one name
}

func (m *measure) add(st *unix.Stat_t) {
	kind := st.Mode & unix.S_IFMT
	if st.Nlink > 1 && kind != unix.S_IFDIR {
		file := inode{st.Dev, st.Ino}
		if m.seen[file] {
			return
		}
		m.seen[file] = true
	}
	m.Inodes++
	m.Allocated += st.Blocks * 512 // stat(2): st_blocks is in units of 512 whatever the block size
	if kind == unix.S_IFREG || kind == unix.S_IFLNK {
		m.Apparent += st.Size
	}
}

func (m *measure) walk(dir int, path string) error {
	entries, err := linux.ReadDir(dir)
	if err != nil {
		return &os.PathError{Op: "read", Path: path, Err: err}
	}
	for _, e := range entries {
		st, err := linux.Lstat(dir, e.Name)
		if err == unix.ENOENT { // an upperdir in use
			continue
		}
		if err != nil {
			return &os.PathError{Op: "stat", Path: path + "/" + e.Name, Err: err}
		}
		m.add(&st)
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			if err := m.descend(dir, e.Name, path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *measure) descend(dir int, name, path string) error {
	fd, err := linux.OpenHere(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EXDEV) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: path + "/" + name, Err: err}
	}
	defer unix.Close(fd)
	return m.walk(fd, path+"/"+name)
}

// Plus adds up what two trees take.
func (u Usage) Plus(v Usage) Usage {
	return Usage{u.Apparent + v.Apparent, u.Allocated + v.Allocated, u.Inodes + v.Inodes}
}
