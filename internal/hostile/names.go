// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"archive/tar"
	"strings"

	"strata/internal/tree"
)

var long = strings.Repeat("n", 256)

// deep is a path of 4,095 bytes, the longest.
var deep = strings.Repeat("d/", 2047) + "f"

var names = []Layer{
	{Name: "absolute", Entries: []Entry{File("/etc/passwd", "x")}, Want: tree.New(tree.File("etc/passwd", "x"))},
	{Name: "many slashes", Entries: []Entry{File("//../etc/passwd", "x")}, Err: `entry //../etc/passwd: its name has ".." in it`},
	{Name: "only a slash", Entries: []Entry{Dir("/"), File("a", "x")}, Want: tree.New(tree.File("a", "x"))},
	{Name: "parent", Entries: []Entry{File("../x", "x")}, Err: `entry ../x: its name has ".." in it`},
	{Name: "parent within", Entries: []Entry{File("a/../x", "x")}, Err: `entry a/../x: its name has ".." in it`},
	{Name: "parent at the end", Entries: []Entry{Dir("a/..")}, Err: `entry a/..: its name has ".." in it`},
	{Name: "parent after dots", Entries: []Entry{File("./../x", "x")}, Err: `entry ./../x: its name has ".." in it`},
	{Name: "dots that are a name", Entries: []Entry{File("...", "x"), File("..a", "x")}, Want: tree.New(tree.File("...", "x"), tree.File("..a", "x"))},
	{Name: "leading dot and doubled slashes", Entries: []Entry{File("./a//./b", "x")}, Want: tree.New(tree.File("a/b", "x"))},
	{Name: "control characters are quoted", Entries: []Entry{File("../\x1b[2J", "x")}, Err: `entry "../\x1b[2J": its name has ".." in it`},
	{Name: "long component", Entries: []Entry{File(long, "")}, Err: "entry " + long + ": more than the limit of 255 bytes in a name"},
	{Name: "longest component", Entries: []Entry{File(long[1:], "")}, Want: tree.New(tree.File(long[1:], ""))},
	{Name: "long path", Entries: []Entry{File(strings.Repeat("a/", 2051)+"b", "")},
		Err: "entry " + strings.Repeat("a/", 2051) + "b: more than the limit of 4096 bytes in a path"},
	{Name: "file with a slash at its end", Entries: []Entry{File("a", "x").Named("a/")}, Want: tree.New(tree.File("a", "x"))},
	{Name: "root is a file", Entries: []Entry{File("a", "x").Named("./")}, Err: "entry ./: the root of a layer must be a directory"},
	{Name: "root is a link", Entries: []Entry{Symlink(".", "/")}, Err: "entry .: the root of a layer must be a directory"},
	{Name: "root is a hard link", Entries: []Entry{File("a", ""), HardLink(".", "a")}, Err: "entry .: the root of a layer must be a directory"},
	{Name: "unknown type", Entries: []Entry{{Header: tar.Header{Typeflag: 'V', Name: "volume"}}}, Err: "entry volume: its type 'V' is not known"},
	{Name: "global header", Entries: []Entry{{Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}}, File("a", "")},
		Want: tree.New(tree.File("a", ""))},
	{Name: "empty", Entries: []Entry{File("a", "x").Named("\x00")}, Err: `entry "": its name is empty`},
	{Name: "absolute to a place outside", Entries: []Entry{File(Outside+"/file", "x")}, Unread: true},
	{Name: "longest path", Entries: []Entry{File(deep, "x")}, Unread: true},
	{Name: "GNU's long name", Entries: []Entry{File(strings.Repeat("long/", 40)+"f", "x").With(Format(tar.FormatGNU))}, Want: tree.New(tree.File(strings.Repeat("long/", 40)+"f", "x"))},
	{Name: "PAX's long name", Entries: []Entry{File(strings.Repeat("long/", 60)+"f", "x").With(Format(tar.FormatPAX))}, Want: tree.New(tree.File(strings.Repeat("long/", 60)+"f", "x"))},
	{Name: "GNU's long target", Entries: []Entry{Symlink("l", strings.Repeat("long/", 40)).With(Format(tar.FormatGNU))}, Want: tree.New(tree.Symlink("l", strings.Repeat("long/", 40)))},
	{Name: "USTAR's prefix", Entries: []Entry{File(strings.Repeat("prefix/", 20)+"f", "x").With(Format(tar.FormatUSTAR))}, Want: tree.New(tree.File(strings.Repeat("prefix/", 20)+"f", "x"))},
	{Name: "target too long for a link", Entries: []Entry{Symlink("l", strings.Repeat("t", 4096))}, Err: "entry l: symlink to " + strings.Repeat("t", 4096) + ": file name too long"},
	{Name: "longest target", Entries: []Entry{Symlink("l", strings.Repeat("t", 4095))}, Want: tree.New(tree.Symlink("l", strings.Repeat("t", 4095)))},
	{Name: "empty target", Entries: []Entry{Symlink("l", "")}, Err: `entry l: symlink to "": no such file or directory`},
	{Name: "not UTF-8", Entries: []Entry{File("caf\xe9", "x").With(Format(tar.FormatGNU))}, Want: tree.New(tree.File("caf\xe9", "x"))},
	{Name: "newlines and tabs", Entries: []Entry{File("a\nb\tc", "x")}, Want: tree.New(tree.File("a\nb\tc", "x"))},
	{Name: "spaces and stars", Entries: []Entry{File(" * ", "x"), File("-rf", "x"), File("\\", "x")}, Want: tree.New(tree.File(" * ", "x"), tree.File("-rf", "x"), tree.File("\\", "x"))},
	{Name: "names that differ in case and form", Entries: []Entry{File("a", "1"), File("A", "2"), File("\u00e9", "3"), File("e\u0301", "4")},
		Want: tree.New(tree.File("a", "1"), tree.File("A", "2"), tree.File("\u00e9", "3"), tree.File("e\u0301", "4"))},
	{Name: "a NUL in a PAX path", Entries: []Entry{File("a", "").With(Format(tar.FormatPAX), Xattr("user.x", "y"))}, Damage: replace("user.x=y", "user.x=\x00"), Want: tree.New(tree.File("a", "", tree.Xattr("user.x", "\x00")))},
	{Name: "PAX path with dots", Entries: []Entry{Pax("path=a/../../x"), File("a", "x")}, Err: `entry a/../../x: its name has ".." in it`},
	{Name: "PAX target of a hard link", Entries: []Entry{File("a", "x"), Pax("linkpath=../../outside/file"), HardLink("b", "a")}, Err: `entry b: hard link to ../../outside/file: its name has ".." in it`},
}

var parents = []Layer{
	{Name: "through an absolute link", Entries: []Entry{Symlink("l", "/tmp"), File("l/x", "x")}, Err: "entry l/x: parent l is a symbolic link"},
	{Name: "through a link upwards", Entries: []Entry{Symlink("l", ".."), File("l/outside/x", "x")}, Err: "entry l/outside/x: parent l is a symbolic link"},
	{Name: "through a link within", Entries: []Entry{Dir("d"), Symlink("l", "d"), File("l/x", "x")}, Err: "entry l/x: parent l is a symbolic link"},
	{Name: "through a deep link", Entries: []Entry{Symlink("a/b/l", "/"), Dir("a/b/l/c/d")}, Err: "entry a/b/l/c/d: parent a/b/l is a symbolic link"},
	{Name: "through a link that replaced a directory", Entries: []Entry{File("d/x", "x"), Symlink("d", "/tmp"), File("d/y", "y")}, Err: "entry d/y: parent d is a symbolic link"},
	{Name: "beneath a file", Entries: []Entry{File("f", "x"), File("f/x", "x")}, Err: "entry f/x: parent f is a file"},
	{Name: "beneath a pipe", Entries: []Entry{Device("p", tar.TypeFifo, 0, 0), File("p/x", "x")}, Err: "entry p/x: parent p is a device, pipe or socket"},
	{Name: "onto a link", Entries: []Entry{Symlink("l", "../outside/file"), File("l", "mine")}, Want: tree.New(tree.File("l", "mine"))},
	{Name: "onto a dangling link", Entries: []Entry{Symlink("l", "../outside/new"), File("l", "mine")}, Want: tree.New(tree.File("l", "mine"))},
	{Name: "directory onto a link", Entries: []Entry{Symlink("l", "../outside"), Dir("l").With(Mode(0o700)), File("l/x", "x")},
		Want: tree.New(tree.Dir("l", tree.Mode(0o700)), tree.File("l/x", "x"))},
	{Name: "targets of links are kept", Entries: []Entry{Symlink("a", "/etc/passwd"), Symlink("b", "../../x"), Symlink("c", "c")},
		Want: tree.New(tree.Symlink("a", "/etc/passwd"), tree.Symlink("b", "../../x"), tree.Symlink("c", "c"))},
	{Name: "missing parents", Entries: []Entry{File("a/b/c", "x")}, Want: tree.New(tree.File("a/b/c", "x"))},
	{Name: "directory named and replaced, then used again", Entries: []Entry{File("d/s/x", "x"), File("d", "f"), Dir("d"), File("d/s/y", "y")},
		Want: tree.New(tree.Dir("d"), tree.File("d/s/y", "y"))},
	{Name: "through a link and dots", Entries: []Entry{Symlink("l", "d"), Dir("d"), File("l/../x", "x")}, Err: `entry l/../x: its name has ".." in it`},
	{Name: "through two links", Entries: []Entry{Symlink("a", "."), Symlink("a/b", Outside), File("a/b/x", "x")}, Err: "entry a/b: parent a is a symbolic link"},
	{Name: "through procfs", Entries: []Entry{Symlink("l", "/proc/self/cwd"), File("l/x", "x")}, Err: "entry l/x: parent l is a symbolic link"},
	{Name: "directory through a link", Entries: []Entry{Symlink("l", Outside), Dir("l/new")}, Err: "entry l/new: parent l is a symbolic link"},
	{Name: "device through a link", Entries: []Entry{Symlink("l", Outside), Device("l/null", tar.TypeChar, 1, 3)}, Err: "entry l/null: parent l is a symbolic link"},
	{Name: "hard link placed through a link", Entries: []Entry{Symlink("l", Outside), File("a", "x"), HardLink("l/b", "a")}, Err: "entry l/b: parent l is a symbolic link"},
	{Name: "link placed through a link", Entries: []Entry{Symlink("l", Outside), Symlink("l/b", "x")}, Err: "entry l/b: parent l is a symbolic link"},
	{Name: "attributes through a link", Entries: []Entry{Symlink("l", Outside+"/file"), Symlink("l", Outside+"/file").With(Owner(7, 7))}, Want: tree.New(tree.Symlink("l", Outside+"/file", tree.Owner(7, 7)))},
	{Name: "directory's attributes through a link", Entries: []Entry{Dir("d"), Symlink("d", Outside), Dir("d").With(Mode(0o777), Owner(7, 7))}, Want: tree.New(tree.Dir("d", tree.Mode(0o777), tree.Owner(7, 7)))},
}
