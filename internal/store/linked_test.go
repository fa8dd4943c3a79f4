// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strata/internal/oci"
	"strata/internal/overlay"
	"strata/internal/store"
	"strata/internal/tree"
)

// content is a header with the content of its file.
type content struct {
	tar.Header
	data string
}

func fileOf(name, data string) content {
	return content{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, ModTime: tree.Mtime}, data}
}

func dirOf(name string) content {
	return content{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755, ModTime: tree.Mtime}}
}

func linkOf(name, target string) content {
	return content{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o600}}
}

func symlinkOf(name, target string) content {
	return content{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, ModTime: tree.Mtime}}
}

func packContents(t testing.TB, entries []content) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		e.Size = int64(len(e.data))
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// mergedTree is what a mount of the stack shows.
func mergedTree(t testing.TB, s *store.Store, stack []oci.Digest) tree.Tree {
	t.Helper()
	empty, err := s.Dir("empty")
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	m, err := overlay.Stack{Lowers: lowersOf(t, s, stack...), Empty: empty, UserXattr: options().Marks.UserXattr}.Mount()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return tree.Read(t, fmt.Sprintf("/proc/self/fd/%d/.", m.Fd()), tree.NoMarks, tree.NoDirTimes)
}

func noDirTimes(tr tree.Tree) tree.Tree {
	return tr.Map(func(e *tree.Entry) {
		if e.Kind == tree.KindDir {
			e.Mtime = tree.Entry{}.Mtime
		}
	})
}

// beneath is the layer beneath in the tests of links.
func beneath() []content {
	attributed := fileOf("usr/bin/tool", "tool")
	attributed.Mode, attributed.Uid, attributed.Gid = 0o4755, 7, 8
	attributed.PAXRecords = map[string]string{"SCHILY.xattr.user.note": "hi"}
	return []content{
		dirOf("./"), dirOf("usr"), dirOf("usr/bin"), attributed, symlinkOf("bin", "usr/bin"), symlinkOf("up", "../../../usr/bin"), symlinkOf("loop", "loop"),
		symlinkOf("link", "usr/bin/tool"), fileOf("gone/a", "a"), fileOf("gone/b", "b"),
		{Header: tar.Header{Typeflag: tar.TypeFifo, Name: "pipe", Mode: 0o640, ModTime: tree.Mtime}},
	}
}

func TestLinksToLowerLayers(t *testing.T) {
	needMount(t)
	tool := func(name string) tree.Entry {
		return tree.File(name, "tool", tree.Mode(0o4755), tree.Owner(7, 8), tree.Xattr("user.note", "hi"))
	}
	under := tree.New(tool("usr/bin/tool"), tree.Symlink("bin", "usr/bin"), tree.Symlink("up", "../../../usr/bin"), tree.Symlink("loop", "loop"),
		tree.Symlink("link", "usr/bin/tool"), tree.File("gone/a", "a"), tree.File("gone/b", "b"), tree.Fifo("pipe", tree.Mode(0o640)))
	for name, c := range map[string]struct {
		layer []content
		want  tree.Tree
		err   string // of the link at fault
	}{
		"a copy":                        {layer: []content{linkOf("new", "usr/bin/tool")}, want: under.With(tool("new"))},
		"in a directory of the layer":   {layer: []content{dirOf("opt"), linkOf("opt/new", "./usr/bin//tool")}, want: under.With(tool("opt/new"))},
		"in an implied directory":       {layer: []content{linkOf("opt/x/new", "usr/bin/tool")}, want: under.With(tool("opt/x/new"))},
		"beside it":                     {layer: []content{linkOf("usr/bin/new", "usr/bin/tool")}, want: under.With(tool("usr/bin/new"))},
		"over another file":             {layer: []content{linkOf("gone/a", "usr/bin/tool")}, want: under.With(tool("gone/a"))},
		"over a directory":              {layer: []content{linkOf("gone", "usr/bin/tool")}, want: under.Without("gone").With(tool("gone"))},
		"two names":                     {layer: []content{linkOf("n1", "usr/bin/tool"), linkOf("n2", "usr/bin/tool")}, want: under.With(tool("n1"), tree.HardLink("n2", "n1"))},
		"a link to such a link":         {layer: []content{linkOf("n1", "usr/bin/tool"), linkOf("n2", "n1")}, want: under.With(tool("n1"), tree.HardLink("n2", "n1"))},
		"through a link beneath":        {layer: []content{linkOf("new", "bin/tool")}, want: under.With(tool("new"))},
		"through one that leads out":    {layer: []content{linkOf("new", "up/tool")}, want: under.With(tool("new"))},
		"to a symbolic link":            {layer: []content{linkOf("new", "link")}, want: under.With(tree.Symlink("new", "usr/bin/tool"))},
		"to a pipe":                     {layer: []content{linkOf("new", "pipe")}, want: under.With(tree.Fifo("new", tree.Mode(0o640)))},
		"replaced by a file":            {layer: []content{linkOf("new", "gone/a"), fileOf("new", "mine")}, want: under.With(tree.File("new", "mine"))},
		"replaced by a directory":       {layer: []content{linkOf("new", "gone/a"), dirOf("new"), fileOf("new/x", "x")}, want: under.With(tree.File("new/x", "x"))},
		"directory of it replaced":      {layer: []content{linkOf("d/new", "gone/a"), fileOf("d", "mine")}, want: under.With(tree.File("d", "mine"))},
		"target replaced afterwards":    {layer: []content{linkOf("new", "gone/a"), fileOf("gone/a", "mine")}, want: under.With(tree.File("new", "a"), tree.File("gone/a", "mine"))},
		"target hidden afterwards":      {layer: []content{linkOf("new", "gone/a"), fileOf("gone/.wh.a", "")}, want: under.Without("gone/a").With(tree.File("new", "a"))},
		"its directory hidden after":    {layer: []content{linkOf("new", "gone/a"), fileOf(".wh.gone", "")}, want: under.Without("gone").With(tree.File("new", "a"))},
		"whiteout of the link's name":   {layer: []content{linkOf("gone/a", "gone/b"), fileOf("gone/.wh.a", "")}, want: under.With(tree.File("gone/a", "b"))},
		"in an opaque directory":        {layer: []content{linkOf("gone/c", "usr/bin/tool"), fileOf("gone/.wh..wh..opq", "")}, want: under.Without("gone/a", "gone/b").With(tool("gone/c"))},
		"target hidden before":          {layer: []content{fileOf("gone/.wh.a", ""), linkOf("new", "gone/a")}, err: "entry new: hard link to gone/a: this layer has no such file and hides that of the layers beneath"},
		"its directory hidden before":   {layer: []content{fileOf(".wh.gone", ""), dirOf("gone"), linkOf("new", "gone/a")}, err: "entry new: hard link to gone/a: this layer has no such file and hides that of the layers beneath"},
		"opaque before":                 {layer: []content{fileOf("gone/.wh..wh..opq", ""), linkOf("new", "gone/a")}, err: "entry new: hard link to gone/a: this layer has no such file and hides that of the layers beneath"},
		"opaque root":                   {layer: []content{fileOf(".wh..wh..opq", ""), linkOf("new", "gone/a")}, err: "entry new: hard link to gone/a: this layer has no such file and hides that of the layers beneath"},
		"beneath the link":              {layer: []content{linkOf("new", "gone/a"), fileOf("new/x", "")}, err: "entry new/x: parent new is a file"},
		"to bookkeeping of aufs":        {layer: []content{linkOf("new", ".wh..wh.plnk/1.2")}, err: "entry new: hard link to .wh..wh.plnk/1.2: this layer has no such file"},
		"to a directory":                {layer: []content{linkOf("new", "gone")}, err: "entry new: hard link to gone: it is a directory"},
		"to nothing":                    {layer: []content{linkOf("new", "gone/x")}, err: "entry new: hard link to gone/x: neither this layer nor those beneath have such a file"},
		"to something beneath a file":   {layer: []content{linkOf("new", "gone/a/x")}, err: "entry new: hard link to gone/a/x: neither this layer nor those beneath have such a file"},
		"through a loop":                {layer: []content{linkOf("new", "loop/x")}, err: "entry new: hard link to loop/x: too many levels of symbolic links"},
		"through a link of this layer":  {layer: []content{symlinkOf("l", "gone"), linkOf("new", "l/a")}, err: "entry new: hard link to l/a: it leads through a symbolic link"},
		"names that a terminal obeys":   {layer: []content{linkOf("a\x1b[2J", "b\x1b[2J")}, err: `entry "a\x1b[2J": hard link to "b\x1b[2J": neither this layer nor those beneath have such a file`},
		"two layers, through the first": {layer: []content{linkOf("new", "usr/bin/tool"), linkOf("gone/c", "gone/a")}, want: under.With(tool("new"), tree.File("gone/c", "a"))},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			layers, err := intake(t, s, beneath(), c.layer)
			if c.err != "" {
				wantError(t, err, c.err)
				clean(t, s)
				want(t, "layers", entries(t, s.Path()+"/layers"), "[]")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(noDirTimes(c.want), mergedTree(t, s, layers)); diff != "" {
				t.Errorf("merged tree (-want +got):\n%s", diff)
			}
			for _, id := range layers {
				want(t, "verify", s.Verify(context.Background(), id), nil)
			}
			clean(t, s)
		})
	}
}

// intake stages, completes and publishes.
func intake(t testing.TB, s *store.Store, layers ...[]content) ([]oci.Digest, error) {
	t.Helper()
	st, err := s.Stage()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { want(t, "close", st.Close(), nil) }()
	var ids []oci.Digest
	for _, entries := range layers {
		l, err := st.Apply(context.Background(), bytes.NewReader(packContents(t, entries)), store.ApplyOptions{})
		if err != nil {
			return nil, err
		}
		ids = append(ids, l.DiffID)
	}
	if err := st.Complete(ids); err != nil {
		return nil, err
	}
	return ids, st.Publish()
}

// A link leads to what its own stack has, and a stack without that is refused.
func TestLinksDependOnTheStack(t *testing.T) {
	needMount(t)
	s := newStore(t)
	top := []content{dirOf("./"), linkOf("new", "d/file")}
	one, err := intake(t, s, []content{dirOf("./"), fileOf("d/file", "one")}, top)
	want(t, "one", err, nil)
	two, err := intake(t, s, []content{dirOf("./"), fileOf("d/file", "two")}, []content{fileOf("other", "")}, top)
	want(t, "two", err, nil)
	want(t, "the same layer", two[2], one[1])
	for stack, content := range map[*[]oci.Digest]string{&one: "one", &two: "two"} {
		got := mergedTree(t, s, *stack)
		if !slices.ContainsFunc(got, func(e tree.Entry) bool { return e.Path == "new" && e.Content == content }) {
			t.Errorf("over %s: %+v", content, got)
		}
	}
	_, err = intake(t, s, []content{dirOf("./")}, top)
	wantError(t, err, "layer "+string(one[1])+": complete it over the layers beneath: entry new: hard link to d/file: neither this layer nor those beneath have such a file")
	var unmet *store.UnmetError
	want(t, "an UnmetError", errors.As(err, &unmet) && unmet.Path == "new" && unmet.Target == "d/file", true)
	_, err = intake(t, s, top)
	wantError(t, err, "entry new: hard link to d/file: the layer is the first one and has no such file")
	_, err = s.Lowers([]oci.Digest{two[1], one[1]}) // a stack that nobody has checked
	wantError(t, err, "neither this layer nor those beneath have such a file")
	clean(t, s)
}

// Holes stay holes, and content is exact.
func TestLinkToAFileWithHoles(t *testing.T) {
	needMount(t)
	s := newStore(t)
	data := strings.Repeat("\x00", 3<<20) + "middle" + strings.Repeat("\x00", 5<<20)
	ids, err := intake(t, s, []content{fileOf("big", data)}, []content{linkOf("copy", "big")})
	if err != nil {
		t.Fatal(err)
	}
	got := mergedTree(t, s, ids)
	if want := tree.New(tree.File("big", data), tree.File("copy", data)); !cmp.Equal(want, got) {
		t.Error("the copy differs")
	}
	lowers := lowersOf(t, s, ids...)
	var st unix.Stat_t
	if err := unix.Fstatat(int(lowers[2].Fd()), "copy", &st, 0); err != nil || st.Blocks*512 > 64<<10 {
		t.Errorf("the copy takes %d bytes, %v", st.Blocks*512, err)
	}
}

// A record of a newer version is refused, and one without links is as it was.
func TestImpliedVersions(t *testing.T) {
	s := newStore(t)
	plain, err := s.AddLayer(context.Background(), bytes.NewReader(packContents(t, []content{fileOf("a/b", "")})), store.ApplyOptions{})
	want(t, "plain", err, nil)
	linked, err := s.AddLayer(context.Background(), bytes.NewReader(packContents(t, []content{linkOf("a", "b")})), store.ApplyOptions{})
	want(t, "linked", err, nil)
	for id, record := range map[oci.Digest]string{
		plain.DiffID:  `{"version":1,"directories":["YQ==","Lg=="]}`,
		linked.DiffID: `{"version":2,"directories":["Lg=="],"links":[{"path":"YQ==","target":"Yg=="}]}`,
	} {
		data, err := os.ReadFile(s.Path() + "/layers/" + id.Hex() + "/implied.json")
		want(t, "record", fmt.Sprint(string(data), err), record+"<nil>")
	}
}
