// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"archive/tar"
	"slices"

	"strata/internal/tree"
)

var whiteouts = []Layer{
	{Name: "alone", Entries: []Entry{File("d/.wh.a", "")}, Want: tree.New(tree.Whiteout("d/a"))},
	{Name: "with content", Entries: []Entry{File(".wh.a", "content"), File("b", "x")}, Want: tree.New(tree.Whiteout("a"), tree.File("b", "x"))},
	{Name: "bare", Entries: []Entry{File("d/.wh.", "")}, Err: "entry d/.wh.: a whiteout of no name"},
	{Name: "of dot", Entries: []Entry{File("d/.wh..", "")}, Err: "entry d/.wh..: a whiteout of no name"},
	{Name: "of dot dot", Entries: []Entry{File("d/.wh...", "")}, Err: "entry d/.wh...: a whiteout of no name"},
	{Name: "before a file of its layer", Entries: []Entry{File(".wh.a", ""), File("a", "x")}, Want: tree.New(tree.File("a", "x"))},
	{Name: "after a file of its layer", Entries: []Entry{File("a", "x"), File(".wh.a", "")}, Want: tree.New(tree.File("a", "x"))},
	{Name: "before a directory of its layer", Entries: []Entry{File(".wh.a", ""), File("a/x", "x")}, Want: tree.New(tree.Dir("a", tree.Opaque), tree.File("a/x", "x"))},
	{Name: "after a directory of its layer", Entries: []Entry{Dir("a"), File("a/x", "x"), File(".wh.a", "")}, Want: tree.New(tree.Dir("a", tree.Opaque), tree.File("a/x", "x"))},
	{Name: "twice", Entries: []Entry{File(".wh.a", ""), File(".wh.a", "")}, Want: tree.New(tree.Whiteout("a"))},
	{Name: "as a directory", Entries: []Entry{Dir(".wh.a")}, Want: tree.New(tree.Whiteout("a"))},
	{Name: "with something beneath", Entries: []Entry{File(".wh.a/x", "")}, Err: "entry .wh.a/x: .wh.a is a whiteout and cannot hold entries"},
	{Name: "through a link", Entries: []Entry{Symlink("l", "../outside"), File("l/.wh.file", "")}, Err: "entry l/.wh.file: parent l is a symbolic link"},
	{Name: "in a directory that is replaced", Entries: []Entry{File("d/.wh.a", ""), Symlink("d", "../outside")}, Want: tree.New(tree.Symlink("d", "../outside"))},
	{Name: "of the longest name", Entries: []Entry{File(".wh."+long[1:], "")}, Want: tree.New(tree.Whiteout(long[1:]))},
	{Name: "opaque", Entries: []Entry{Dir("d"), File("d/a", "x"), File("d/.wh..wh..opq", "")}, Want: tree.New(tree.Dir("d", tree.Opaque), tree.File("d/a", "x"))},
	{Name: "opaque in a directory without an entry", Entries: []Entry{File("d/.wh..wh..opq", "")}, Want: tree.New(tree.Dir("d", tree.Opaque))},
	{Name: "opaque before a file over the directory", Entries: []Entry{File("d/.wh..wh..opq", ""), File("d", "x")}, Want: tree.New(tree.File("d", "x"))},
	{Name: "opaque through a link", Entries: []Entry{Symlink("l", "../outside"), File("l/.wh..wh..opq", "")}, Err: "entry l/.wh..wh..opq: parent l is a symbolic link"},
	{Name: "aufs", Entries: []Entry{Dir(".wh..wh.plnk"), File(".wh..wh.plnk/1.2", "x"), File(".wh..wh.aufs", ""), File("d/.wh..wh.orph", "")}, Want: nil},
	{Name: "of a name that is a whiteout's", Entries: []Entry{File(".wh..wh", "")}, Want: tree.New(tree.Whiteout(".wh"))},
	{Name: "of a whiteout", Entries: []Entry{File(".wh..wh.a", "")}, Want: nil},
	{Name: "opaque with content", Entries: []Entry{File("d/.wh..wh..opq", "content")}, Want: tree.New(tree.Dir("d", tree.Opaque))},
	{Name: "opaque as a directory", Entries: []Entry{Dir("d/.wh..wh..opq")}, Want: tree.New(tree.Dir("d", tree.Opaque))},
	{Name: "as a link", Entries: []Entry{Symlink("d/.wh.a", Outside)}, Want: tree.New(tree.Whiteout("d/a"))},
	{Name: "as a hard link", Entries: []Entry{File("a", "x"), HardLink("d/.wh.b", "a")}, Want: tree.New(tree.File("a", "x"), tree.Whiteout("d/b"))},
	{Name: "of a path", Entries: []Entry{File(".wh.a/../b", "")}, Err: `entry .wh.a/../b: its name has ".." in it`},
	{Name: "beneath a file", Entries: []Entry{File("f", "x"), File("f/.wh.a", "")}, Err: "entry f/.wh.a: parent f is a file"},
	{Name: "with odd names", Entries: []Entry{File(".wh.a\nb", ""), File(".wh.\xff", "").With(Format(tar.FormatGNU)), File(".wh. ", "")}, Want: tree.New(tree.Whiteout("a\nb"), tree.Whiteout("\xff"), tree.Whiteout(" "))},
	{Name: "a name that only resembles one", Entries: []Entry{File("a.wh.b", "x"), File(".whx", "x"), File("wh.a", "x")}, Want: tree.New(tree.File("a.wh.b", "x"), tree.File(".whx", "x"), tree.File("wh.a", "x"))},
}

var duplicates = []Layer{
	{Name: "file over file", Entries: []Entry{File("a", "old"), File("a", "new")}, Want: tree.New(tree.File("a", "new"))},
	{Name: "three times", Entries: []Entry{File("a", "1"), File("a", "22"), File("a", "333")}, Want: tree.New(tree.File("a", "333"))},
	{Name: "shorter", Entries: []Entry{File("a", "longer"), File("a", "")}, Want: tree.New(tree.File("a", ""))},
	{Name: "directory over directory", Entries: []Entry{Dir("d").With(Xattr("user.old", "1")), File("d/a", "x"), Dir("d").With(Mode(0o700)).With(Owner(1, 1)).With(Xattr("user.new", "2"))},
		Want: tree.New(tree.Dir("d", tree.Mode(0o700), tree.Owner(1, 1), tree.Xattr("user.new", "2")), tree.File("d/a", "x"))},
	{Name: "file over directory", Entries: []Entry{File("d/a/b", "x"), File("d/c", "y"), File("d", "z")}, Want: tree.New(tree.File("d", "z"))},
	{Name: "directory over file", Entries: []Entry{File("d", "z"), Dir("d"), File("d/a", "x")}, Want: tree.New(tree.Dir("d"), tree.File("d/a", "x"))},
	{Name: "link over directory", Entries: []Entry{File("d/a", "x"), Symlink("d", "e")}, Want: tree.New(tree.Symlink("d", "e"))},
	{Name: "hard link over file", Entries: []Entry{File("a", "x"), File("b", "y"), HardLink("b", "a")}, Want: tree.New(tree.File("a", "x"), tree.HardLink("b", "a"))},
	{Name: "device over directory over file", Entries: []Entry{File("a", "x"), Dir("a"), Device("a", tar.TypeChar, 1, 3)}, Want: tree.New(tree.Char("a", 1, 3))},
	{Name: "the root twice", Entries: []Entry{Dir("./"), File("a", "x"), Dir(".")}, Want: tree.New(tree.File("a", "x"))},
	{Name: "a thousand times", Entries: slices.Repeat([]Entry{File("a", "x")}, 1000), Want: tree.New(tree.File("a", "x"))},
	{Name: "one path in several spellings", Entries: []Entry{File("d/a", "1"), File("./d/a", "2"), File("d//a", "3"), File("/d/./a", "4")}, Want: tree.New(tree.File("d/a", "4"))},
	{Name: "attributes go with the file", Entries: []Entry{File("a", "").With(Mode(0o4755), Owner(9, 9), Xattr("user.old", "1")), File("a", "x")}, Want: tree.New(tree.File("a", "x"))},
	{Name: "replaced while it has another name", Entries: []Entry{File("a", "x"), HardLink("b", "a"), Symlink("a", "b"), HardLink("c", "b")},
		Want: tree.New(tree.Symlink("a", "b"), tree.File("b", "x"), tree.HardLink("c", "b"))},
}
