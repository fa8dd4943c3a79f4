// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"archive/tar"
	"fmt"

	"strata/internal/tree"
)

var hardLinks = []Layer{
	{Name: "within", Entries: []Entry{File("a", "x"), HardLink("b/c", "./a")}, Want: tree.New(tree.File("a", "x"), tree.HardLink("b/c", "a"))},
	{Name: "upwards", Entries: []Entry{HardLink("a", "../outside/file")}, Err: `entry a: hard link to ../outside/file: its name has ".." in it`},
	{Name: "absolute", Entries: []Entry{HardLink("a", "/etc/passwd")}, Err: "entry a: hard link to etc/passwd: the layer is the first one and has no such file"},
	{Name: "absolute within", Entries: []Entry{File("a", "x"), HardLink("/b/c", "/a")}, Want: tree.New(tree.File("a", "x"), tree.HardLink("b/c", "a"))},
	{Name: "through a link", Entries: []Entry{Symlink("l", "../outside"), HardLink("a", "l/file")}, Err: "entry a: hard link to l/file: it leads through a symbolic link"},
	{Name: "missing", Entries: []Entry{HardLink("a", "b")}, Err: "entry a: hard link to b: the layer is the first one and has no such file"},
	{Name: "missing directory", Entries: []Entry{HardLink("a", "b/c")}, Err: "entry a: hard link to b/c: the layer is the first one and has no such file"},
	{Name: "beneath a file", Entries: []Entry{File("f", ""), HardLink("a", "f/c")}, Err: "entry a: hard link to f/c: this layer has no such file"},
	{Name: "to a directory", Entries: []Entry{Dir("d"), HardLink("a", "d")}, Err: "entry a: hard link to d: it is a directory"},
	{Name: "to the root", Entries: []Entry{HardLink("a", ".")}, Err: "entry a: hard link to .: it is a directory"},
	{Name: "to itself", Entries: []Entry{File("a", "x"), HardLink("a", "a")}, Err: "entry a: hard link to a: it would replace its own target"},
	{Name: "over its own directory", Entries: []Entry{File("d/f", "x"), HardLink("d", "d/f")}, Err: "entry d: hard link to d/f: it would replace its own target"},
	{Name: "to a link is a link", Entries: []Entry{Symlink("l", "../outside/file"), HardLink("a", "l")},
		Want: tree.New(tree.Symlink("a", "../outside/file"), tree.HardLink("l", "a"))},
	{Name: "to what a whiteout hides", Entries: []Entry{File(".wh.b", ""), HardLink("a", "b")}, Err: "entry a: hard link to b: this layer has no such file and hides that of the layers beneath"},
	{Name: "to a whiteout", Entries: []Entry{File(".wh.b", ""), HardLink("a", ".wh.b")}, Err: "entry a: hard link to .wh.b: this layer has no such file"},
	{Name: "empty target", Entries: []Entry{HardLink("a", "")}, Err: `entry a: hard link to "": its name is empty`},
	{Name: "target replaced afterwards", Entries: []Entry{File("a", "old"), HardLink("b", "a"), File("a", "new")},
		Want: tree.New(tree.File("a", "new"), tree.File("b", "old"))},
	{Name: "to a pipe", Entries: []Entry{Device("p", tar.TypeFifo, 0, 0), HardLink("a", "p")}, Want: tree.New(tree.Fifo("a"), tree.HardLink("p", "a"))},
	{Name: "to a set-uid file outside", Entries: []Entry{HardLink("a", Outside+"/file")}, Err: "/file: the layer is the first one and has no such file"},
	{Name: "with content of its own", Entries: []Entry{File("a", "x"), HardLink("b", "a").Sized("00000000005\x00")}, Want: tree.New(tree.File("a", "x"), tree.HardLink("b", "a"))},
	{Name: "a hundred names", Entries: manyLinks(100), Want: manyNames(100)},
}

func manyLinks(n int) (entries []Entry) {
	entries = append(entries, File("f", "x"))
	for i := range n {
		entries = append(entries, HardLink(fmt.Sprintf("l%03d", i), "f"))
	}
	return entries
}

func manyNames(n int) tree.Tree {
	entries := []tree.Entry{tree.File("f", "x")}
	for i := range n {
		entries = append(entries, tree.HardLink(fmt.Sprintf("l%03d", i), "f"))
	}
	return tree.New(entries...)
}

// beneath is the layer under those of lowerLinks and across.
var beneath = tree.New(tree.File("bin/tool", "tool", tree.Mode(0o4755), tree.Owner(7, 8)), tree.File("d/a", "a"), tree.File("d/b", "b"),
	tree.Symlink("l", "d"), tree.Symlink("out", Outside), tree.Symlink("up", "../../../../d"), tree.File("f", "f"), tree.Fifo("p"))

var tool = []tree.Mod{tree.Mode(0o4755), tree.Owner(7, 8)}

// Hard links to files of the layer beneath.
var lowerLinks = []Layer{
	{Name: "copied", Beneath: beneath, Entries: []Entry{HardLink("new", "bin/tool")}, Want: tree.New(tree.Whiteout("new")), Copies: tree.New(tree.File("new", "tool", tool...))},
	{Name: "two names", Beneath: beneath, Entries: []Entry{HardLink("n1", "bin/tool"), HardLink("n2", "n1")},
		Want: tree.New(tree.Whiteout("n1"), tree.Whiteout("n2")), Copies: tree.New(tree.File("n1", "tool", tool...), tree.File("n2", "tool", tool...))},
	{Name: "through a link beneath", Beneath: beneath, Entries: []Entry{HardLink("new", "l/a")}, Want: tree.New(tree.Whiteout("new")), Copies: tree.New(tree.File("new", "a"))},
	{Name: "through a link beneath that leads out", Beneath: beneath, Entries: []Entry{HardLink("new", "out/file")}, Err: "entry new: hard link to out/file: neither this layer nor those beneath have such a file"},
	{Name: "through a link beneath that leads up", Beneath: beneath, Entries: []Entry{HardLink("new", "up/a")}, Want: tree.New(tree.Whiteout("new")), Copies: tree.New(tree.File("new", "a"))},
	{Name: "to a link beneath", Beneath: beneath, Entries: []Entry{HardLink("new", "out")}, Want: tree.New(tree.Whiteout("new")), Copies: tree.New(tree.Symlink("new", Outside))},
	{Name: "to a pipe beneath", Beneath: beneath, Entries: []Entry{HardLink("new", "p")}, Want: tree.New(tree.Whiteout("new")), Copies: tree.New(tree.Fifo("new"))},
	{Name: "to a directory beneath", Beneath: beneath, Entries: []Entry{HardLink("new", "d")}, Err: "entry new: hard link to d: it is a directory"},
	{Name: "to nothing", Beneath: beneath, Entries: []Entry{HardLink("new", "d/c")}, Err: "entry new: hard link to d/c: neither this layer nor those beneath have such a file"},
	{Name: "target hidden before", Beneath: beneath, Entries: []Entry{File("d/.wh.a", ""), HardLink("new", "d/a")}, Err: "entry new: hard link to d/a: this layer has no such file and hides that of the layers beneath"},
	{Name: "target hidden after", Beneath: beneath, Entries: []Entry{HardLink("new", "d/a"), File("d/.wh.a", "")},
		Want: tree.New(tree.Whiteout("d/a"), tree.Whiteout("new")), Copies: tree.New(tree.File("new", "a"))},
	{Name: "target replaced after", Beneath: beneath, Entries: []Entry{HardLink("new", "d/a"), File("d/a", "mine")},
		Want: tree.New(tree.File("d/a", "mine"), tree.Whiteout("new")), Copies: tree.New(tree.File("new", "a"))},
	{Name: "replaced", Beneath: beneath, Entries: []Entry{HardLink("new", "d/a"), File("new", "mine")}, Want: tree.New(tree.File("new", "mine"))},
	{Name: "over its directory's neighbour", Beneath: beneath, Entries: []Entry{HardLink("f", "d/a")}, Want: tree.New(tree.Whiteout("f")), Copies: tree.New(tree.File("f", "a"))},
	{Name: "something beneath it", Beneath: beneath, Entries: []Entry{HardLink("new", "d/a"), File("new/x", "")}, Err: "entry new/x: parent new is a file"},
}

// Layers that change the kind of what is beneath.
var across = []Layer{
	{Name: "directory to file", Beneath: beneath, Entries: []Entry{File("d", "x")}, Want: tree.New(tree.File("d", "x"))},
	{Name: "directory to link", Beneath: beneath, Entries: []Entry{Symlink("d", "bin")}, Want: tree.New(tree.Symlink("d", "bin"))},
	{Name: "directory to link outside and then through it", Beneath: beneath, Entries: []Entry{Symlink("d", Outside), File("d/file", "x")}, Err: "entry d/file: parent d is a symbolic link"},
	{Name: "directory to pipe", Beneath: beneath, Entries: []Entry{Device("d", tar.TypeFifo, 0, 0)}, Want: tree.New(tree.Fifo("d"))},
	{Name: "file to directory", Beneath: beneath, Entries: []Entry{Dir("f"), File("f/x", "x")}, Want: tree.New(tree.Dir("f"), tree.File("f/x", "x"))},
	{Name: "file to implied directory", Beneath: beneath, Entries: []Entry{File("f/x", "x")}, Want: tree.New(tree.Dir("f", tree.Time(0)), tree.File("f/x", "x"))},
	{Name: "file to link", Beneath: beneath, Entries: []Entry{Symlink("f", Outside)}, Want: tree.New(tree.Symlink("f", Outside))},
	{Name: "link to directory", Beneath: beneath, Entries: []Entry{Dir("l"), File("l/x", "x")}, Want: tree.New(tree.Dir("l"), tree.File("l/x", "x"))},
	{Name: "link to file", Beneath: beneath, Entries: []Entry{File("out", "x")}, Want: tree.New(tree.File("out", "x"))},
	{Name: "through a link beneath that leads out", Beneath: beneath, Entries: []Entry{File("out/file", "x")}, Want: tree.New(tree.Dir("out"), tree.File("out/file", "x"))},
	{Name: "through a link beneath that leads within", Beneath: beneath, Entries: []Entry{File("l/x", "x")}, Want: tree.New(tree.Dir("l"), tree.File("l/x", "x"))},
	{Name: "pipe to directory", Beneath: beneath, Entries: []Entry{File("p/x", "x")}, Want: tree.New(tree.Dir("p"), tree.File("p/x", "x"))},
	{Name: "whiteout through a link beneath", Beneath: beneath, Entries: []Entry{File("out/.wh.file", "")}, Want: tree.New(tree.Dir("out"), tree.Whiteout("out/file"))},
	{Name: "opaque through a link beneath", Beneath: beneath, Entries: []Entry{File("out/.wh..wh..opq", "")}, Want: tree.New(tree.Dir("out", tree.Opaque))},
	{Name: "whiteout of a directory", Beneath: beneath, Entries: []Entry{File(".wh.d", "")}, Want: tree.New(tree.Whiteout("d"))},
	{Name: "whiteout and new directory", Beneath: beneath, Entries: []Entry{File(".wh.d", ""), Dir("d"), File("d/c", "c")}, Want: tree.New(tree.Dir("d", tree.Opaque), tree.File("d/c", "c"))},
	{Name: "new directory and whiteout", Beneath: beneath, Entries: []Entry{Dir("d"), File("d/c", "c"), File(".wh.d", "")}, Want: tree.New(tree.Dir("d", tree.Opaque), tree.File("d/c", "c"))},
	{Name: "opaque after its siblings", Beneath: beneath, Entries: []Entry{Dir("d"), File("d/c", "c"), File("d/.wh..wh..opq", "")}, Want: tree.New(tree.Dir("d", tree.Opaque), tree.File("d/c", "c"))},
	{Name: "opaque before its siblings", Beneath: beneath, Entries: []Entry{Dir("d"), File("d/.wh..wh..opq", ""), File("d/c", "c")}, Want: tree.New(tree.Dir("d", tree.Opaque), tree.File("d/c", "c"))},
	{Name: "opaque root", Beneath: beneath, Entries: []Entry{File(".wh..wh..opq", ""), File("c", "c")}, Want: tree.New(tree.File("c", "c")), Merged: tree.New(tree.File("c", "c"))},
	{Name: "whiteout of what is not there", Beneath: beneath, Entries: []Entry{File("d/.wh.none", ""), File("none/.wh.none", "")}, Want: tree.New(tree.Whiteout("d/none"), tree.Dir("none"), tree.Whiteout("none/none"))},
	{Name: "whiteout and file of one name", Beneath: beneath, Entries: []Entry{File(".wh.f", ""), File("f", "new")}, Want: tree.New(tree.File("f", "new"))},
	{Name: "attributes of a directory alone", Beneath: beneath, Entries: []Entry{Dir("d").With(Mode(0o700), Owner(3, 3))}, Want: tree.New(tree.Dir("d", tree.Mode(0o700), tree.Owner(3, 3)))},
	{Name: "implied directory keeps what is beneath", Beneath: beneath.With(tree.Dir("tmp", tree.Mode(0o1777))), Entries: []Entry{File("tmp/x", "x")}, Want: tree.New(tree.File("tmp/x", "x")),
		Merged: beneath.With(tree.Dir("tmp", tree.Mode(0o1777)), tree.File("tmp/x", "x"))},
}
