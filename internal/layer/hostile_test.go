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

// hostile is an archive with the tree or the message that it must give.
type hostile struct {
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

func (e entry) named(name string) entry {
	e.patch = func(block []byte) { copy(block, name+"\x00") }
	return e
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

var long = strings.Repeat("n", 256)

var names = []hostile{
	{name: "absolute", entries: []entry{file("/etc/passwd", "x")}, want: tree.New(tree.File("etc/passwd", "x"))},
	{name: "many slashes", entries: []entry{file("//../etc/passwd", "x")}, err: `entry //../etc/passwd: its name has ".." in it`},
	{name: "only a slash", entries: []entry{dir("/"), file("a", "x")}, want: tree.New(tree.File("a", "x"))},
	{name: "parent", entries: []entry{file("../x", "x")}, err: `entry ../x: its name has ".." in it`},
	{name: "parent within", entries: []entry{file("a/../x", "x")}, err: `entry a/../x: its name has ".." in it`},
	{name: "parent at the end", entries: []entry{dir("a/..")}, err: `entry a/..: its name has ".." in it`},
	{name: "parent after dots", entries: []entry{file("./../x", "x")}, err: `entry ./../x: its name has ".." in it`},
	{name: "dots that are a name", entries: []entry{file("...", "x"), file("..a", "x")}, want: tree.New(tree.File("...", "x"), tree.File("..a", "x"))},
	{name: "leading dot and doubled slashes", entries: []entry{file("./a//./b", "x")}, want: tree.New(tree.File("a/b", "x"))},
	{name: "control characters are quoted", entries: []entry{file("../\x1b[2J", "x")}, err: `entry "../\x1b[2J": its name has ".." in it`},
	{name: "long component", entries: []entry{file(long, "")}, err: "entry " + long + ": more than the limit of 255 bytes in a name"},
	{name: "longest component", entries: []entry{file(long[1:], "")}, want: tree.New(tree.File(long[1:], ""))},
	{name: "long path", entries: []entry{file(strings.Repeat("a/", 2051)+"b", "")},
		err: "entry " + strings.Repeat("a/", 2051) + "b: more than the limit of 4096 bytes in a path"},
	{name: "file with a slash at its end", entries: []entry{file("a", "x").named("a/")}, want: tree.New(tree.File("a", "x"))},
	{name: "root is a file", entries: []entry{file("a", "x").named("./")}, err: "entry ./: the root of a layer must be a directory"},
	{name: "root is a link", entries: []entry{symlink(".", "/")}, err: "entry .: the root of a layer must be a directory"},
	{name: "root is a hard link", entries: []entry{file("a", ""), hardLink(".", "a")}, err: "entry .: the root of a layer must be a directory"},
	{name: "unknown type", entries: []entry{{Header: tar.Header{Typeflag: 'V', Name: "volume"}}}, err: "entry volume: its type 'V' is not known"},
	{name: "global header", entries: []entry{{Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}}, file("a", "")},
		want: tree.New(tree.File("a", ""))},
	{name: "empty", entries: []entry{file("a", "x").named("\x00")}, err: `entry "": its name is empty`},
}

var parents = []hostile{
	{name: "through an absolute link", entries: []entry{symlink("l", "/tmp"), file("l/x", "x")}, err: "entry l/x: parent l is a symbolic link"},
	{name: "through a link upwards", entries: []entry{symlink("l", ".."), file("l/outside/x", "x")}, err: "entry l/outside/x: parent l is a symbolic link"},
	{name: "through a link within", entries: []entry{dir("d"), symlink("l", "d"), file("l/x", "x")}, err: "entry l/x: parent l is a symbolic link"},
	{name: "through a deep link", entries: []entry{symlink("a/b/l", "/"), dir("a/b/l/c/d")}, err: "entry a/b/l/c/d: parent a/b/l is a symbolic link"},
	{name: "through a link that replaced a directory", entries: []entry{file("d/x", "x"), symlink("d", "/tmp"), file("d/y", "y")}, err: "entry d/y: parent d is a symbolic link"},
	{name: "beneath a file", entries: []entry{file("f", "x"), file("f/x", "x")}, err: "entry f/x: parent f is a file"},
	{name: "beneath a pipe", entries: []entry{device("p", tar.TypeFifo, 0, 0), file("p/x", "x")}, err: "entry p/x: parent p is a device, pipe or socket"},
	{name: "onto a link", entries: []entry{symlink("l", "../outside/file"), file("l", "mine")}, want: tree.New(tree.File("l", "mine"))},
	{name: "onto a dangling link", entries: []entry{symlink("l", "../outside/new"), file("l", "mine")}, want: tree.New(tree.File("l", "mine"))},
	{name: "directory onto a link", entries: []entry{symlink("l", "../outside"), dir("l").with(mode(0o700)), file("l/x", "x")},
		want: tree.New(tree.Dir("l", tree.Mode(0o700)), tree.File("l/x", "x"))},
	{name: "targets of links are kept", entries: []entry{symlink("a", "/etc/passwd"), symlink("b", "../../x"), symlink("c", "c")},
		want: tree.New(tree.Symlink("a", "/etc/passwd"), tree.Symlink("b", "../../x"), tree.Symlink("c", "c"))},
	{name: "missing parents", entries: []entry{file("a/b/c", "x")}, want: tree.New(tree.File("a/b/c", "x"))},
	{name: "directory named and replaced, then used again", entries: []entry{file("d/s/x", "x"), file("d", "f"), dir("d"), file("d/s/y", "y")},
		want: tree.New(tree.Dir("d"), tree.File("d/s/y", "y"))},
}

var hardLinks = []hostile{
	{name: "within", entries: []entry{file("a", "x"), hardLink("b/c", "./a")}, want: tree.New(tree.File("a", "x"), tree.HardLink("b/c", "a"))},
	{name: "upwards", entries: []entry{hardLink("a", "../outside/file")}, err: `entry a: hard link to ../outside/file: its name has ".." in it`},
	{name: "absolute", entries: []entry{hardLink("a", "/etc/passwd")}, err: "entry a: hard link to /etc/passwd: this layer has no such file"},
	{name: "absolute within", entries: []entry{file("a", "x"), hardLink("/b/c", "/a")}, want: tree.New(tree.File("a", "x"), tree.HardLink("b/c", "a"))},
	{name: "through a link", entries: []entry{symlink("l", "../outside"), hardLink("a", "l/file")}, err: "entry a: hard link to l/file: it leads through a symbolic link"},
	{name: "missing", entries: []entry{hardLink("a", "b")}, err: "entry a: hard link to b: this layer has no such file"},
	{name: "missing directory", entries: []entry{hardLink("a", "b/c")}, err: "entry a: hard link to b/c: this layer has no such file"},
	{name: "beneath a file", entries: []entry{file("f", ""), hardLink("a", "f/c")}, err: "entry a: hard link to f/c: this layer has no such file"},
	{name: "to a directory", entries: []entry{dir("d"), hardLink("a", "d")}, err: "entry a: hard link to d: it is a directory"},
	{name: "to the root", entries: []entry{hardLink("a", ".")}, err: "entry a: hard link to .: it is a directory"},
	{name: "to itself", entries: []entry{file("a", "x"), hardLink("a", "a")}, err: "entry a: hard link to a: it would replace its own target"},
	{name: "over its own directory", entries: []entry{file("d/f", "x"), hardLink("d", "d/f")}, err: "entry d: hard link to d/f: it would replace its own target"},
	{name: "to a link is a link", entries: []entry{symlink("l", "../outside/file"), hardLink("a", "l")},
		want: tree.New(tree.Symlink("a", "../outside/file"), tree.HardLink("l", "a"))},
	{name: "to what a whiteout hides", entries: []entry{file(".wh.b", ""), hardLink("a", "b")}, err: "entry a: hard link to b: this layer has no such file"},
	{name: "to a whiteout", entries: []entry{file(".wh.b", ""), hardLink("a", ".wh.b")}, err: "entry a: hard link to .wh.b: this layer has no such file"},
	{name: "empty target", entries: []entry{hardLink("a", "")}, err: `entry a: hard link to "": its name is empty`},
	{name: "target replaced afterwards", entries: []entry{file("a", "old"), hardLink("b", "a"), file("a", "new")},
		want: tree.New(tree.File("a", "new"), tree.File("b", "old"))},
}

var attributes = []hostile{
	{name: "uid of 2^32", entries: []entry{file("a", "").with(owner(1<<32, 0)).with(mode(0o4755))}, err: "entry a: owner 4294967296:0 is out of range, ids go from 0 to 4294967294"},
	{name: "uid of 2^32-1", entries: []entry{file("a", "").with(owner(1<<32-1, 0))}, err: "entry a: owner 4294967295:0 is out of range, ids go from 0 to 4294967294"},
	{name: "gid of 2^32-1", entries: []entry{dir("a").with(owner(0, 1<<32-1))}, err: "entry a: owner 0:4294967295 is out of range, ids go from 0 to 4294967294"},
	{name: "negative uid", entries: []entry{symlink("a", "b").with(owner(-1, 0))}, err: "entry a: owner -1:0 is out of range, ids go from 0 to 4294967294"},
	{name: "largest ids", entries: []entry{file("a", "").with(owner(1<<32-2, 1<<32-2))}, want: tree.New(tree.File("a", "", tree.Owner(1<<32-2, 1<<32-2)))},
	{name: "set-id bits survive the owner", entries: []entry{file("a", "x").with(owner(1, 2)).with(mode(0o6755)), dir("d").with(owner(1, 2)).with(mode(0o3777))},
		want: tree.New(tree.File("a", "x", tree.Owner(1, 2), tree.Mode(0o6755)), tree.Dir("d", tree.Owner(1, 2), tree.Mode(0o3777)))},
	{name: "file type bits in the mode", entries: []entry{file("a", "").with(mode(0o120644))}, want: tree.New(tree.File("a", ""))},
	{name: "directory without rights", entries: []entry{dir("d").with(mode(0)), file("d/a", "x")}, want: tree.New(tree.Dir("d", tree.Mode(0)), tree.File("d/a", "x"))},
	{name: "capability survives the owner", entries: []entry{file("a", "x").with(owner(1, 1)).with(xattr("security.capability", capability))},
		want: tree.New(tree.File("a", "x", tree.Owner(1, 1), tree.Xattr("security.capability", capability)))},
	{name: "overlay's marks are stripped", entries: []entry{dir("d").with(xattr("trusted.overlay.opaque", "y")), dir("e").with(xattr("user.overlay.opaque", "y")),
		dir("g").with(xattr("trusted.overlay.redirect", "/etc")), file("f", "").with(xattr("trusted.overlay.metacopy", "")), file("h", "").with(xattr("user.overlay.metacopy", ""))},
		want: tree.New(tree.Dir("d"), tree.Dir("e"), tree.Dir("g"), tree.File("f", ""), tree.File("h", ""))},
	{name: "a nested overlay's marks are kept", entries: []entry{dir("d").with(xattr("trusted.overlay.overlay.opaque", "y"))},
		want: tree.New(tree.Dir("d", tree.Xattr("trusted.overlay.overlay.opaque", "y")))},
	{name: "the host's labels are not set", entries: []entry{file("a", "").with(xattr("security.selinux", "system_u:object_r:bin_t:s0\x00"))}, want: tree.New(tree.File("a", ""))},
	{name: "attribute of no namespace", entries: []entry{file("a", "").with(xattr("nowhere", "x"))}, err: "entry a: set attribute nowhere: operation not supported"},
	{name: "attribute with an equals sign", entries: []entry{file("a", "").with(xattr("user.a%3Db%25", "x"))}, want: tree.New(tree.File("a", "", tree.Xattr("user.a=b%", "x")))},
	{name: "many bytes of attributes", entries: []entry{file("a", "").with(xattr("user.x", strings.Repeat("v", 300<<10)))}, err: "entry a: more than the limit of 262144 bytes of extended attributes"},
}

var devices = []hostile{
	{name: "whiteout as a device", entries: []entry{device("a", tar.TypeChar, 0, 0)}, err: "entry a: character device 0:0 is a whiteout in overlay form and cannot stand in an archive"},
	{name: "whiteout by overflow", entries: []entry{device("a", tar.TypeChar, 1<<12, 0)}, err: "entry a: device 4096:0 is out of range"},
	{name: "minor by overflow", entries: []entry{device("a", tar.TypeBlock, 1, 1<<20)}, err: "entry a: device 1:1048576 is out of range"},
	{name: "devices and pipes", entries: []entry{device("c", tar.TypeChar, 1, 3), device("b", tar.TypeBlock, 8, 1<<20-1), device("p", tar.TypeFifo, 7, 7)},
		want: tree.New(tree.Char("c", 1, 3), tree.Block("b", 8, 1<<20-1), tree.Fifo("p"))},
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

var whiteouts = []hostile{
	{name: "alone", entries: []entry{file("d/.wh.a", "")}, want: tree.New(tree.Whiteout("d/a"))},
	{name: "with content", entries: []entry{file(".wh.a", "content"), file("b", "x")}, want: tree.New(tree.Whiteout("a"), tree.File("b", "x"))},
	{name: "bare", entries: []entry{file("d/.wh.", "")}, err: "entry d/.wh.: a whiteout of no name"},
	{name: "of dot", entries: []entry{file("d/.wh..", "")}, err: "entry d/.wh..: a whiteout of no name"},
	{name: "of dot dot", entries: []entry{file("d/.wh...", "")}, err: "entry d/.wh...: a whiteout of no name"},
	{name: "before a file of its layer", entries: []entry{file(".wh.a", ""), file("a", "x")}, want: tree.New(tree.File("a", "x"))},
	{name: "after a file of its layer", entries: []entry{file("a", "x"), file(".wh.a", "")}, want: tree.New(tree.File("a", "x"))},
	{name: "before a directory of its layer", entries: []entry{file(".wh.a", ""), file("a/x", "x")}, want: tree.New(tree.Dir("a", tree.Opaque), tree.File("a/x", "x"))},
	{name: "after a directory of its layer", entries: []entry{dir("a"), file("a/x", "x"), file(".wh.a", "")}, want: tree.New(tree.Dir("a", tree.Opaque), tree.File("a/x", "x"))},
	{name: "twice", entries: []entry{file(".wh.a", ""), file(".wh.a", "")}, want: tree.New(tree.Whiteout("a"))},
	{name: "as a directory", entries: []entry{dir(".wh.a")}, want: tree.New(tree.Whiteout("a"))},
	{name: "with something beneath", entries: []entry{file(".wh.a/x", "")}, err: "entry .wh.a/x: .wh.a is a whiteout and cannot hold entries"},
	{name: "through a link", entries: []entry{symlink("l", "../outside"), file("l/.wh.file", "")}, err: "entry l/.wh.file: parent l is a symbolic link"},
	{name: "in a directory that is replaced", entries: []entry{file("d/.wh.a", ""), symlink("d", "../outside")}, want: tree.New(tree.Symlink("d", "../outside"))},
	{name: "of the longest name", entries: []entry{file(".wh."+long[1:], "")}, want: tree.New(tree.Whiteout(long[1:]))},
	{name: "opaque", entries: []entry{dir("d"), file("d/a", "x"), file("d/.wh..wh..opq", "")}, want: tree.New(tree.Dir("d", tree.Opaque), tree.File("d/a", "x"))},
	{name: "opaque in a directory without an entry", entries: []entry{file("d/.wh..wh..opq", "")}, want: tree.New(tree.Dir("d", tree.Opaque))},
	{name: "opaque before a file over the directory", entries: []entry{file("d/.wh..wh..opq", ""), file("d", "x")}, want: tree.New(tree.File("d", "x"))},
	{name: "opaque through a link", entries: []entry{symlink("l", "../outside"), file("l/.wh..wh..opq", "")}, err: "entry l/.wh..wh..opq: parent l is a symbolic link"},
	{name: "aufs", entries: []entry{dir(".wh..wh.plnk"), file(".wh..wh.plnk/1.2", "x"), file(".wh..wh.aufs", ""), file("d/.wh..wh.orph", "")}, want: nil},
	{name: "marks in user attributes", opts: layer.ApplyOptions{Marks: layer.Marks{UserXattr: true}}, entries: []entry{file("d/.wh..wh..opq", ""), file("d/.wh.a", "")},
		want: tree.New(tree.Dir("d", tree.Opaque), tree.Whiteout("d/a"))},
}

var duplicates = []hostile{
	{name: "file over file", entries: []entry{file("a", "old"), file("a", "new")}, want: tree.New(tree.File("a", "new"))},
	{name: "three times", entries: []entry{file("a", "1"), file("a", "22"), file("a", "333")}, want: tree.New(tree.File("a", "333"))},
	{name: "shorter", entries: []entry{file("a", "longer"), file("a", "")}, want: tree.New(tree.File("a", ""))},
	{name: "directory over directory", entries: []entry{dir("d").with(xattr("user.old", "1")), file("d/a", "x"), dir("d").with(mode(0o700)).with(owner(1, 1)).with(xattr("user.new", "2"))},
		want: tree.New(tree.Dir("d", tree.Mode(0o700), tree.Owner(1, 1), tree.Xattr("user.new", "2")), tree.File("d/a", "x"))},
	{name: "file over directory", entries: []entry{file("d/a/b", "x"), file("d/c", "y"), file("d", "z")}, want: tree.New(tree.File("d", "z"))},
	{name: "directory over file", entries: []entry{file("d", "z"), dir("d"), file("d/a", "x")}, want: tree.New(tree.Dir("d"), tree.File("d/a", "x"))},
	{name: "link over directory", entries: []entry{file("d/a", "x"), symlink("d", "e")}, want: tree.New(tree.Symlink("d", "e"))},
	{name: "hard link over file", entries: []entry{file("a", "x"), file("b", "y"), hardLink("b", "a")}, want: tree.New(tree.File("a", "x"), tree.HardLink("b", "a"))},
	{name: "device over directory over file", entries: []entry{file("a", "x"), dir("a"), device("a", tar.TypeChar, 1, 3)}, want: tree.New(tree.Char("a", 1, 3))},
	{name: "the root twice", entries: []entry{dir("./"), file("a", "x"), dir(".")}, want: tree.New(tree.File("a", "x"))},
}

var bombs = []hostile{
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
	{name: "depth", entries: []entry{dir(strings.Repeat("d/", 1000))}, want: tree.New(tree.Dir(strings.Repeat("d/", 1000)))},
}

var sparseFiles = []hostile{
	{name: "hole before", entries: []entry{file("a", "x").sparse(700_000, 700_001)}, want: tree.New(tree.File("a", strings.Repeat("\x00", 700_000)+"x"))},
	{name: "hole after", entries: []entry{file("a", "x").sparse(0, 300_000)}, want: tree.New(tree.File("a", "x"+strings.Repeat("\x00", 299_999)))},
	{name: "between others", entries: []entry{file("a", "1"), file("b", "22").sparse(1000, 2000), file("c", "333")},
		want: tree.New(tree.File("a", "1"), tree.File("b", strings.Repeat("\x00", 1000)+"22"+strings.Repeat("\x00", 998)), tree.File("c", "333"))},
	{name: "replaced", entries: []entry{file("b", "22").sparse(1000, 2000), file("b", "333"), file("b", "4").sparse(1, 2)}, want: tree.New(tree.File("b", "\x004"))},
}

func limits(l layer.Limits) layer.ApplyOptions { return layer.ApplyOptions{Limits: l} }

const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func TestHostileArchives(t *testing.T) {
	needRoot(t)
	for group, cases := range map[string][]hostile{
		"names": names, "parents": parents, "hard links": hardLinks, "attributes": attributes,
		"devices": devices, "whiteouts": whiteouts, "duplicates": duplicates, "sparse": sparseFiles, "bombs": bombs,
	} {
		for _, h := range cases {
			t.Run(group+"/"+h.name, h.run)
		}
	}
}

// run applies the archive beside a directory that must stay as it is.
func (h hostile) run(t *testing.T) {
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
