// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strata/internal/layer"
	"strata/internal/tree"
)

// applied is an archive with the tree or the message that it must give. Those of
// package hostile are applied by the store's tests.
type applied struct {
	name    string
	entries []entry
	opts    layer.ApplyOptions
	want    tree.Tree // modification times of directories are not compared
	err     string    // the whole message
}

func owner(uid, gid int) func(*tar.Header) {
	return func(h *tar.Header) { h.Uid, h.Gid = uid, gid }
}

func mode(m int64) func(*tar.Header) { return func(h *tar.Header) { h.Mode = m } }

func device(name string, kind byte, major, minor int64) entry {
	return entry{Header: tar.Header{Typeflag: kind, Name: name, Mode: 0o644, Devmajor: major, Devminor: minor}}
}

// sparse makes a file an entry of GNU's old sparse format: its content stands at
// offset in a file of size bytes.
func (e entry) sparse(offset, size int64) entry {
	e.Format = tar.FormatGNU
	e.patch = func(block []byte) {
		block[156] = tar.TypeGNUSparse
		copy(block[386:], fmt.Sprintf("%011o\x00%011o\x00", offset, len(e.content)))
		copy(block[483:], fmt.Sprintf("%011o\x00", size))
	}
	return e
}

// hardLinks are of a caller that has no layers beneath.
var hardLinks = []applied{
	{name: "missing", entries: []entry{hardLink("a", "b")}, err: "entry a: hard link to b: this layer has no such file"},
	{name: "missing directory", entries: []entry{hardLink("a", "b/c")}, err: "entry a: hard link to b/c: this layer has no such file"},
	{name: "to what a whiteout hides", entries: []entry{file(".wh.b", ""), hardLink("a", "b")}, err: "entry a: hard link to b: this layer has no such file"},
}

var devices = []applied{
	{name: "unprivileged", opts: layer.ApplyOptions{Unprivileged: true}, entries: []entry{device("c", tar.TypeChar, 1, 3)}, err: "entry c: device 1:3: devices need root"},
	{name: "unprivileged pipe and owner", opts: layer.ApplyOptions{Unprivileged: true}, entries: []entry{device("p", tar.TypeFifo, 0, 0).with(owner(5, 5))}, want: tree.New(tree.Fifo("p"))},
	{name: "left out", opts: inUserNamespace, entries: []entry{device("d/c", tar.TypeChar, 1, 3), device("b", tar.TypeBlock, 8, 0), device("p", tar.TypeFifo, 0, 0)},
		want: tree.New(tree.Whiteout("d/c"), tree.Whiteout("b"), tree.Fifo("p"))},
	{name: "left out with its links", opts: inUserNamespace, entries: []entry{device("a", tar.TypeBlock, 8, 0), hardLink("b", "a"), hardLink("c", "b")},
		want: tree.New(tree.Whiteout("a"), tree.Whiteout("b"), tree.Whiteout("c"))},
	{name: "left out over a directory", opts: inUserNamespace, entries: []entry{file("a/b", "x"), device("a", tar.TypeBlock, 8, 0)}, want: tree.New(tree.Whiteout("a"))},
	{name: "left out and replaced", opts: inUserNamespace, entries: []entry{device("a", tar.TypeBlock, 8, 0), file("a", "x"), hardLink("b", "a")},
		want: tree.New(tree.File("a", "x"), tree.HardLink("b", "a"))},
	{name: "left out and replaced by a directory", opts: inUserNamespace, entries: []entry{device("a", tar.TypeBlock, 8, 0), file("a/b", "x")},
		want: tree.New(tree.Dir("a", tree.Opaque), tree.File("a/b", "x"))},
	{name: "left out and out of range", opts: inUserNamespace, entries: []entry{device("a", tar.TypeChar, 0, 0)}, err: "entry a: character device 0:0 is a whiteout in overlay form and cannot stand in an archive"},
}

var inUserNamespace = layer.ApplyOptions{UserNamespace: true}

var whiteouts = []applied{
	{name: "marks in user attributes", opts: layer.ApplyOptions{Marks: layer.Marks{UserXattr: true}}, entries: []entry{file("d/.wh..wh..opq", ""), file("d/.wh.a", "")},
		want: tree.New(tree.Dir("d", tree.Opaque), tree.Whiteout("d/a"))},
}

var bombs = []applied{
	{name: "entries", opts: limits(layer.Limits{Entries: 2}), entries: []entry{file("a", ""), file("b", ""), file("c", "")}, err: "entry c: more than the limit of 2 entries"},
	{name: "implied directories", opts: limits(layer.Limits{Entries: 3}), entries: []entry{file("a/b/c/d", "")}, err: "entry a/b/c/d: more than the limit of 3 entries"},
	{name: "whiteouts", opts: limits(layer.Limits{Entries: 1}), entries: []entry{file(".wh.a", ""), file(".wh.b", "")}, err: "entry .wh.b: more than the limit of 1 entries"},
	{name: "aufs", opts: limits(layer.Limits{Entries: 1}), entries: []entry{file(".wh..wh.a", ""), file(".wh..wh.b", "")}, err: "entry .wh..wh.b: more than the limit of 1 entries"},
	{name: "bytes", opts: limits(layer.Limits{Bytes: 4096}), entries: []entry{file("a", strings.Repeat("x", 10000))}, err: "read archive at its first entry: more than the limit of 4096 bytes in the archive"},
	{name: "headers", opts: limits(layer.Limits{Bytes: 1024}), entries: []entry{file("a", "")}, err: "read archive at its first entry: more than the limit of 1024 bytes in the archive"},
	{name: "path", opts: limits(layer.Limits{Path: 8}), entries: []entry{file("123456789/123", "")}, err: "entry 123456789/123: more than the limit of 8 bytes in a path"},
	{name: "name", opts: limits(layer.Limits{Name: 8}), entries: []entry{file("123456789", "")}, err: "entry 123456789: more than the limit of 8 bytes in a name"},
	{name: "names of directories", opts: limits(layer.Limits{Noted: 120}), entries: []entry{dir("a"), dir("a"), dir("b"), dir("c")}, err: "entry c: more than the limit of 120 bytes of paths of directories and whiteouts"},
	{name: "names of implied directories", opts: limits(layer.Limits{Noted: 120}), entries: []entry{file("a/b/c/d", "")}, err: "entry a/b/c/d: more than the limit of 120 bytes of paths of directories and whiteouts"},
	{name: "names of whiteouts", opts: limits(layer.Limits{Noted: 60}), entries: []entry{file(".wh.a", ""), file(".wh.b", "")}, err: "entry .wh.b: more than the limit of 60 bytes of paths of directories and whiteouts"},
	{name: "holes", opts: limits(layer.Limits{Bytes: 1 << 30}), entries: []entry{file("a", "x").sparse(1<<31, 1<<31+1)}, err: "entry a: more than the limit of 1073741824 bytes in files"},
}

func limits(l layer.Limits) layer.ApplyOptions { return layer.ApplyOptions{Limits: l} }

const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func TestHostileArchives(t *testing.T) {
	needRoot(t)
	for group, cases := range map[string][]applied{
		"hard links": hardLinks, "devices": devices, "whiteouts": whiteouts, "bombs": bombs,
	} {
		for _, h := range cases {
			t.Run(group+"/"+h.name, h.run)
		}
	}
}

// run applies the archive beside a directory that must stay as it is.
func (h applied) run(t *testing.T) {
	base := t.TempDir()
	inside, outside := filepath.Join(base, "inside"), filepath.Join(base, "outside")
	sentinel := tree.New(tree.File("file", "sentinel"), tree.Dir("sub"))
	tree.Create(t, inside, nil)
	tree.Create(t, outside, sentinel)
	_, err := apply(t, inside, archive(t, h.entries...), h.opts)
	if got := message(err); got != h.err {
		t.Errorf("error %q\nwant  %q", got, h.err)
	}
	if diff := cmp.Diff(sentinel, tree.Read(t, outside)); diff != "" {
		t.Errorf("the directory beside it changed (-want +got):\n%s", diff)
	}
	if got := dirNames(t, base); !cmp.Equal(got, []string{"inside", "outside"}) {
		t.Errorf("beside it there are %q", got)
	}
	if err != nil {
		return
	}
	opts := []tree.Option{tree.NoDirTimes}
	if h.opts.UserXattr {
		opts = append(opts, tree.UserXattr)
	}
	if diff := cmp.Diff(h.want.Map(noDirTime), tree.Read(t, inside, opts...)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func noDirTime(e *tree.Entry) {
	if e.Kind == tree.KindDir {
		e.Mtime = time.Time{}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func dirNames(t tree.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Archives whose bytes are wrong.
func TestDamagedArchives(t *testing.T) {
	needRoot(t)
	whole := archive(t, file("a", strings.Repeat("x", 1000)), file("b", "y"))
	for _, c := range []struct {
		name string
		data []byte
		err  string
		is   error
	}{
		{"empty", nil, "", nil},
		{"only the end", make([]byte, 1024), "", nil},
		{"without the end", whole[:len(whole)-1024], "", nil},
		{"cut in the content", whole[:1000], "entry a: read archive at byte 488 of 1000 of its content: unexpected EOF", io.ErrUnexpectedEOF},
		{"cut in a header", whole[:512+1024+100], "read archive after entry a, byte 1636: unexpected EOF", io.ErrUnexpectedEOF},
		{"cut in the first header", whole[:100], "read archive at its first entry: unexpected EOF", io.ErrUnexpectedEOF},
		{"not an archive", []byte(strings.Repeat("no archive ", 100)), "read archive at its first entry: archive/tar: invalid tar header", tar.ErrHeader},
		{"padded", append(whole, make([]byte, 9000)...), "", nil},
		{"followed by something", append(whole, "something that is part of the digest"...), "", nil},
		{"followed by too much", append(whole, make([]byte, 17<<20)...), "more than the limit of 16777216 bytes after the end of the archive", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := apply(t, t.TempDir(), c.data, layer.ApplyOptions{})
			if got := message(err); got != c.err {
				t.Errorf("error %q\nwant  %q", got, c.err)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %v is not %v", err, c.is)
			}
		})
	}
}

// An entry's error can be told from the archive's, and a limit from the rest.
func TestErrorTypes(t *testing.T) {
	_, err := apply(t, t.TempDir(), archive(t, file("../x", "")), layer.ApplyOptions{})
	var entry *layer.EntryError
	if !errors.As(err, &entry) || entry.Name != "../x" {
		t.Errorf("error %v is no EntryError of ../x", err)
	}
	_, err = apply(t, t.TempDir(), archive(t, file("a", ""), file("b", "")), limits(layer.Limits{Entries: 1}))
	var limit *layer.LimitError
	if !errors.As(err, &limit) || limit.Most != 1 {
		t.Errorf("error %v is no LimitError of 1", err)
	}
	if fmt.Sprint(layer.LimitError{What: "x", Most: 2}) == "" {
		t.Error("no message")
	}
}
