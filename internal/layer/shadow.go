// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A shadow is the tree that an archive says: what Apply makes of the same
// entries, in memory and without the content of files. It follows place.go,
// link.go, remove.go and finish.go step by step; a test compares the two for
// every archive that the others make.
type shadow struct {
	opts  VerifyOptions
	limit Limits
	nodes []node // the first is the root; a number of another is its name for 0 is none
	files []file
	names map[nodeName]uint32

	last     *file // that the last entry has made, nil for none
	lastPath string

	implied   map[uint32]struct{} // directories that no entry has named
	whiteouts map[string]struct{}
	opaques   map[string]struct{}
	leftOut   map[string]struct{}
	links     map[string]string // hard links to what lower layers have
}

// A node is a name in a directory.
type node struct {
	name                string
	parent, first, next uint32 // first child and next sibling, 0 for none
	file                uint32
	gone, seen, read    bool // seen: in the tree; read: its entries have been
}

type nodeName struct {
	parent uint32
	name   string
}

// A file is what a node is: a file, directory, link, device or whiteout.
type file struct {
	size     int64 // or the device number
	sec      int64 // modification time
	ino      uint64
	nsec     uint32
	mode     uint32 // with S_IFMT; 0 for a whiteout
	uid, gid uint32
	names    uint32
	nlink    uint32 // of the file of the tree, if it is known
	known    bool   // it was compared when its content was read: ino is its own
	opaque   bool
	holds    bool // a whiteout of Apply's
	more     *more
}

// more is what few files have.
type more struct {
	target string
	xattrs map[string]string
	sum    *[32]byte // of a sparse file's content: the record has the archive's form of it
}

func newShadow(opts VerifyOptions) *shadow {
	s := &shadow{
		opts: opts, limit: Limits{}.withDefaults(), names: map[nodeName]uint32{}, implied: map[uint32]struct{}{},
		whiteouts: map[string]struct{}{}, opaques: map[string]struct{}{}, leftOut: map[string]struct{}{}, links: map[string]string{},
	}
	s.nodes, s.files = []node{{name: "."}}, []file{{}}
	s.imply(0)
	return s
}

// imply makes the node a directory that no entry has named.
func (s *shadow) imply(n uint32) {
	s.files[s.nodes[n].file] = file{mode: unix.S_IFDIR | impliedAttributes().mode, names: 1}
	s.implied[n] = struct{}{}
}

func (s *shadow) file(n uint32) *file { return &s.files[s.nodes[n].file] }

func (s *shadow) isDir(n uint32) bool { return s.file(n).mode&unix.S_IFMT == unix.S_IFDIR }

func (s *shadow) child(dir uint32, name string) (uint32, bool) {
	n, ok := s.names[nodeName{dir, name}]
	return n, ok
}

// add makes a node without a file.
func (s *shadow) add(dir uint32, name string, f uint32) uint32 {
	name = strings.Clone(name) // and not the whole path
	n := uint32(len(s.nodes))
	s.nodes = append(s.nodes, node{name: name, parent: dir, next: s.nodes[dir].first, file: f})
	s.nodes[dir].first = n
	s.names[nodeName{dir, name}] = n
	s.files[f].names++
	return n
}

// addFile makes a node with a file of its own.
func (s *shadow) addFile(dir uint32, name string, f file) uint32 {
	s.files = append(s.files, f)
	return s.add(dir, name, uint32(len(s.files)-1))
}

// remove is applier.remove.
func (s *shadow) remove(n uint32) {
	for c := s.nodes[n].first; c != 0; c = s.nodes[c].next {
		if !s.nodes[c].gone {
			s.remove(c)
		}
	}
	delete(s.implied, n)
	delete(s.links, s.path(n))
	s.file(n).names--
	s.nodes[n].gone = true
	delete(s.names, nodeName{s.nodes[n].parent, s.nodes[n].name})
}

// path is that of a node in the layer.
func (s *shadow) path(n uint32) string {
	if n == 0 {
		return "."
	}
	parts := []string{s.nodes[n].name}
	for n = s.nodes[n].parent; n != 0; n = s.nodes[n].parent {
		parts = append(parts, s.nodes[n].name)
	}
	slices.Reverse(parts)
	return strings.Join(parts, "/")
}

// find is the node of a path; false where the path leads nowhere.
func (s *shadow) find(path string) (n uint32, ok bool) {
	if path == "." {
		return 0, true
	}
	for part := range strings.SplitSeq(path, "/") {
		if n, ok = s.child(n, part); !ok {
			return 0, false
		}
	}
	return n, true
}

// makeDir is directory.make: the directories on the way are made too.
func (s *shadow) makeDir(path string) (n uint32, err error) {
	if path == "." {
		return 0, nil
	}
	for part := range strings.SplitSeq(path, "/") {
		next, ok := s.child(n, part)
		if !ok {
			next = s.addFile(n, part, file{})
			s.imply(next)
		}
		if !s.isDir(next) {
			return 0, &parentError{path: s.path(next), kind: s.file(next).mode & unix.S_IFMT}
		}
		n = next
	}
	return n, nil
}

// entry is applier.entry; content gives the digest of a sparse file's content.
func (s *shadow) entry(hdr *tar.Header, content func() (*[32]byte, error)) error {
	s.last = nil
	name, err := s.limit.cleanName(hdr.Name)
	if err != nil {
		return err
	}
	means, name, err := classify(strings.Clone(name))
	if err != nil || means == ignored {
		return err
	}
	switch means {
	case whiteout:
		return s.hide(name)
	case opaque:
		s.opaques[name] = struct{}{}
		_, err := s.makeDir(name)
		return err
	}
	delete(s.leftOut, name)
	switch hdr.Typeflag {
	case tar.TypeDir:
		return s.directory(name, hdr)
	case tar.TypeLink:
		return s.hardLink(name, hdr.Linkname)
	}
	f, err := s.describe(hdr, content)
	if err != nil {
		return err
	}
	isDevice := f.mode&unix.S_IFMT == unix.S_IFCHR || f.mode&unix.S_IFMT == unix.S_IFBLK
	if isDevice && s.opts.UserNamespace {
		return s.leaveOut(name)
	}
	return s.place(name, func(dir uint32, base string) {
		s.last, s.lastPath = s.file(s.addFile(dir, base, f)), name
	})
}

// place makes an entry in place of what is there.
func (s *shadow) place(name string, add func(dir uint32, base string)) error {
	parent, base := split(name)
	dir, err := s.makeDir(parent)
	if err != nil {
		return err
	}
	if name == "." {
		return fmt.Errorf("the root of a layer must be a directory")
	}
	if old, ok := s.child(dir, base); ok {
		s.remove(old)
	}
	add(dir, base)
	return nil
}

func (s *shadow) directory(name string, hdr *tar.Header) error {
	f, err := s.describe(hdr, nil)
	if err != nil {
		return err
	}
	n, ok := s.find(name)
	if !ok || !s.isDir(n) {
		return s.place(name, func(dir uint32, base string) { s.addFile(dir, base, f) })
	}
	f.names = s.file(n).names
	*s.file(n) = f
	delete(s.implied, n)
	return nil
}

func (s *shadow) leaveOut(name string) error {
	parent, base := split(name)
	dir, err := s.makeDir(parent)
	if err != nil {
		return err
	}
	if old, ok := s.child(dir, base); ok {
		s.remove(old)
	}
	s.leftOut[name] = struct{}{}
	return s.hide(name)
}

func (s *shadow) hide(name string) error {
	parent, _ := split(name)
	s.whiteouts[name] = struct{}{}
	_, err := s.makeDir(parent)
	return err
}

func (s *shadow) hardLink(name, linkname string) error {
	target, err := s.limit.cleanName(linkname)
	if err != nil {
		return err
	}
	parent, _ := split(name)
	if _, err := s.makeDir(parent); err != nil { // before the target is looked for, as Apply does
		return err
	}
	if _, ok := s.leftOut[target]; ok {
		return s.leaveOut(name)
	}
	if beneath, ok := s.links[target]; ok {
		return s.linkBeneath(name, beneath)
	}
	n, ok := s.find(target)
	if !ok {
		return s.linkBeneath(name, target)
	}
	f := s.nodes[n].file
	return s.place(name, func(dir uint32, base string) { s.add(dir, base, f) })
}

// linkBeneath keeps the place of a link to what lower layers have.
func (s *shadow) linkBeneath(name, target string) error {
	err := s.place(name, func(dir uint32, base string) { s.addFile(dir, base, file{mode: unix.S_IFREG}) })
	s.links[name] = strings.Clone(target)
	return err
}

// finish is applier.finish.
func (s *shadow) finish() {
	for _, name := range slices.Sorted(maps.Keys(s.links)) {
		if n, ok := s.find(name); ok {
			dir := s.nodes[n].parent
			*s.file(n) = file{names: 1}
			s.file(dir).holds = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.opaques)) {
		parent, base := split(name)
		if dir, err := s.makeDir(parent); err == nil {
			if n, ok := s.lookup(dir, base); ok && s.isDir(n) {
				s.file(n).opaque = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.whiteouts)) {
		s.markHidden(name)
	}
}

// lookup is child that knows ".".
func (s *shadow) lookup(dir uint32, base string) (uint32, bool) {
	if base == "." {
		return dir, true
	}
	return s.child(dir, base)
}

func (s *shadow) markHidden(name string) {
	parent, base := split(name)
	dir, err := s.makeDir(parent)
	if err != nil { // another entry has replaced it
		return
	}
	n, ok := s.lookup(dir, base)
	switch {
	case !ok:
		s.addFile(dir, base, file{})
		s.file(dir).holds = true
	case s.isDir(n):
		s.file(n).opaque = true
	}
}
