// SPDX-License-Identifier: Apache-2.0

// Package hostile makes archives of layers that mean harm, are damaged, or are
// only odd, and says of each what must come of it. For tests only.
//
// The tables hold headers and the trees expected, not bytes, so that a reader
// sees what a case is about; the archives are made when a test asks.
package hostile

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"strata/internal/tree"
)

// Outside stands, in names and the targets of links, for a directory outside of
// the layer that must stay as it is.
const Outside = "/OUTSIDE"

// A Layer is one archive and what must come of applying it.
type Layer struct {
	Name    string
	Beneath tree.Tree // the layer beneath
	Entries []Entry
	Damage  func(archive io.Reader) io.Reader // nil for an archive as it should be
	Bytes   func() io.Reader                  // the archive, in place of Entries and Damage

	Err    string    // the message with which it is refused, after what says which layer it is; or
	Want   tree.Tree // the layer in overlay form; times of directories do not count
	Unread bool      // what it makes is too large to read
	Copies tree.Tree // copies of files beneath, in place of whiteouts in Want
	Merged tree.Tree // what the stack shows, where that does not follow from the others
}

// An Entry of an archive; what its header leaves out is filled in as tar would.
type Entry struct {
	tar.Header
	Content string
	Patch   func(block []byte) // changes the header for what archive/tar would not write
}

// File is a regular file, 0644.
func File(name, content string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, Content: content}
}

// Dir is a directory, 0755.
func Dir(name string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}}
}

// Symlink is a symbolic link.
func Symlink(name, target string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}}
}

// HardLink is another name of a file.
func HardLink(name, target string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}}
}

// Device is a device or a pipe, 0644.
func Device(name string, kind byte, major, minor int64) Entry {
	return Entry{Header: tar.Header{Typeflag: kind, Name: name, Mode: 0o644, Devmajor: major, Devminor: minor}}
}

// Pax is a header of records, each key=value, for the next entry, as archive/tar
// would not write it.
func Pax(records ...string) Entry {
	var content strings.Builder
	for _, record := range records {
		size := len(record) + 3 // of the record with the digits of its size, a space and a newline
		for len(fmt.Sprint(size))+len(record)+2 > size {
			size++
		}
		fmt.Fprintf(&content, "%d %s\n", size, record)
	}
	return File("PaxHeaders/0", content.String()).Patched(func(block []byte) { block[156] = tar.TypeXHeader })
}

// With changes the header.
func (e Entry) With(changes ...func(*tar.Header)) Entry {
	for _, change := range changes {
		change(&e.Header)
	}
	return e
}

// Owner sets user and group.
func Owner(uid, gid int) func(*tar.Header) { return func(h *tar.Header) { h.Uid, h.Gid = uid, gid } }

// Mode sets the mode.
func Mode(m int64) func(*tar.Header) { return func(h *tar.Header) { h.Mode = m } }

// Time sets the modification time; a part of a second needs PAX.
func Time(t time.Time) func(*tar.Header) { return func(h *tar.Header) { h.ModTime = t } }

// Format sets the form of the header.
func Format(f tar.Format) func(*tar.Header) { return func(h *tar.Header) { h.Format = f } }

// Xattr adds an extended attribute.
func Xattr(name, value string) func(*tar.Header) {
	return func(h *tar.Header) {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+name] = value
	}
}

// Patched changes the last block of the header.
func (e Entry) Patched(patch func(block []byte)) Entry {
	e.Patch = patch
	return e
}

// Named has a name that archive/tar would not write.
func (e Entry) Named(name string) Entry {
	return e.Patched(func(block []byte) { copy(block, name+"\x00") })
}

// Sized says that the content has another size, in the header's octal field.
func (e Entry) Sized(size string) Entry {
	return e.Patched(func(block []byte) { copy(block[124:136], size) })
}

// Sparse makes a file an entry of GNU's old sparse format: its content stands at
// offset in a file of size bytes.
func (e Entry) Sparse(offset, size int64) Entry {
	e.Format = tar.FormatGNU
	return e.Patched(func(block []byte) {
		block[156] = tar.TypeGNUSparse
		copy(block[386:], fmt.Sprintf("%011o\x00%011o\x00", offset, len(e.Content)))
		copy(block[483:], fmt.Sprintf("%011o\x00", size))
	})
}

// Layers are all of them, by the name of their group.
func Layers() map[string][]Layer {
	return map[string][]Layer{
		"names": names, "parents": parents, "hard links": hardLinks, "links to lower layers": lowerLinks, "across layers": across,
		"attributes": attributes, "devices": devices, "whiteouts": whiteouts, "duplicates": duplicates,
		"bombs": bombs, "sparse": sparseFiles, "damaged": damaged,
	}
}

// Archive is the layer's archive, with the directory at outside for Outside.
func (l Layer) Archive(outside string) io.Reader {
	if l.Bytes != nil {
		return l.Bytes()
	}
	var archive io.Reader = Pack(outside, l.Entries...)
	if l.Damage != nil {
		archive = l.Damage(archive)
	}
	return archive
}

// Lower is the archive of the layer beneath, nil for none.
func (l Layer) Lower(outside string) io.Reader {
	if l.Beneath == nil {
		return nil
	}
	return Pack(outside, FromTree(l.Beneath)...)
}

// Pack makes an archive.
func Pack(outside string, entries ...Entry) io.Reader {
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(w, outside, entries)) }()
	return r
}

func write(to io.Writer, outside string, entries []Entry) error {
	out := &last{w: to}
	w := tar.NewWriter(out)
	for _, e := range entries {
		if err := e.write(w, out, outside); err != nil {
			return fmt.Errorf("entry %q: %w", e.Name, err)
		}
	}
	return errors.Join(w.Close(), out.flush())
}

func (e Entry) write(w *tar.Writer, out *last, outside string) error {
	e.Size = int64(len(e.Content))
	e.Name, e.Linkname = strings.Replace(e.Name, Outside, outside, 1), strings.Replace(e.Linkname, Outside, outside, 1)
	if e.ModTime.IsZero() && e.Typeflag != tar.TypeXGlobalHeader {
		e.ModTime = tree.Mtime
	}
	if err := errors.Join(w.Flush(), w.WriteHeader(&e.Header)); err != nil {
		return err
	}
	if e.Patch != nil {
		e.Patch(out.block)
		sum(out.block)
	}
	_, err := io.WriteString(w, e.Content)
	return err
}

// last keeps the last block back.
type last struct {
	w     io.Writer
	block []byte
}

func (l *last) Write(p []byte) (int, error) {
	if len(p) < 512 {
		l.block = append(l.block, p...)
		return len(p), nil
	}
	if err := l.flush(); err != nil {
		return 0, err
	}
	keep := len(p) - 512
	_, err := l.w.Write(p[:keep])
	l.block = slices.Clone(p[keep:])
	return len(p), err
}

func (l *last) flush() error {
	_, err := l.w.Write(l.block)
	l.block = nil
	return err
}

// sum puts the sum that fits into a header block.
func sum(block []byte) {
	copy(block[148:156], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// FromTree are entries that make the tree, which has no marks.
func FromTree(tr tree.Tree) (entries []Entry) {
	for _, e := range tr {
		kinds := map[tree.Kind]byte{
			tree.KindFile: tar.TypeReg, tree.KindDir: tar.TypeDir, tree.KindSymlink: tar.TypeSymlink, tree.KindHardLink: tar.TypeLink,
			tree.KindChar: tar.TypeChar, tree.KindBlock: tar.TypeBlock, tree.KindFifo: tar.TypeFifo,
		}
		entry := Entry{Content: e.Content, Header: tar.Header{
			Typeflag: kinds[e.Kind], Name: e.Path, Linkname: e.Target, Mode: int64(e.Mode), ModTime: e.Mtime,
			Uid: int(e.UID), Gid: int(e.GID), Devmajor: int64(e.Major), Devminor: int64(e.Minor),
		}}
		for name, value := range e.Xattrs {
			entry = entry.With(Xattr(name, value))
		}
		entries = append(entries, entry)
	}
	return entries
}

// Shows is what a stack of the layer and the one beneath shows.
func (l Layer) Shows() tree.Tree {
	if l.Merged != nil {
		return l.Merged
	}
	isDir := map[string]bool{}
	for _, e := range l.Beneath {
		isDir[e.Path] = e.Kind == tree.KindDir
	}
	var hidden []string
	var entries []tree.Entry
	for _, e := range l.Want {
		if l.Beneath != nil && (e.Kind != tree.KindDir || e.Opaque || !isDir[e.Path]) {
			hidden = append(hidden, e.Path)
		}
		e.Opaque = false
		if e.Kind != tree.KindWhiteout {
			entries = append(entries, e)
		}
	}
	return l.Beneath.Without(hidden...).With(entries...).With(l.Copies...)
}
