// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"strata/internal/layer"
	"strata/internal/overlay"
	"strata/internal/tree"
)

// merged is what a mount of these layers, oldest first, shows.
func merged(t tree.T, marks layer.Marks, dirs ...string) tree.Tree {
	t.Helper()
	stack := overlay.Stack{UserXattr: marks.UserXattr}
	for _, dir := range dirs {
		f := open(t, dir)
		defer f.Close()
		stack.Lowers = append(stack.Lowers, f)
	}
	m, err := stack.Mount()
	if err != nil {
		t.Fatalf("mount: %v", err)
	}
	defer m.Close()
	return noLinks(tree.Read(t, fmt.Sprintf("/proc/self/fd/%d/.", m.Fd()), tree.NoMarks))
}

// noLinks gives every name of a file its content: which names a mount shows as
// one file is overlay's business.
func noLinks(tr tree.Tree) tree.Tree {
	byPath := map[string]tree.Entry{}
	for _, e := range tr {
		byPath[e.Path] = e
	}
	return tr.Map(func(e *tree.Entry) {
		if e.Kind == tree.KindHardLink {
			name := e.Path
			*e = byPath[e.Target]
			e.Path = name
		}
	})
}

// merge is what a layer on top of a tree must show.
func merge(lower, upper tree.Tree) tree.Tree {
	out := noLinks(lower)
	isDir := map[string]bool{}
	for _, e := range out {
		isDir[e.Path] = e.Kind == tree.KindDir
	}
	for _, e := range noLinks(upper) {
		keep := e.Kind == tree.KindDir && !e.Opaque && isDir[e.Path]
		if !keep {
			out = out.Without(e.Path)
		}
		e.Opaque = false
		if e.Kind != tree.KindWhiteout {
			out = out.With(e)
		}
	}
	return out
}

// TestMergedView checks against the kernel what a written and applied layer
// means on top of another one.
func TestMergedView(t *testing.T) {
	needRoot(t)
	base := t.TempDir()
	config := tree.Config{Marks: true, Devices: true, Owners: true, OddNames: true}
	for name, marks := range map[string]layer.Marks{"trusted": {}, "user": {UserXattr: true}} {
		t.Run(name, rapid.MakeCheck(func(rt *rapid.T) {
			lowerConfig := config
			lowerConfig.Marks = false
			lower, upper := tree.Gen(lowerConfig).Draw(rt, "lower"), tree.Gen(config).Draw(rt, "upper")
			work := tempDir(rt, base)
			defer os.RemoveAll(work)
			dirs := []string{filepath.Join(work, "lower"), filepath.Join(work, "upper")}
			for i, tr := range []tree.Tree{lower, upper} {
				through(rt, work, dirs[i], tr, layer.ApplyOptions{Marks: marks})
			}
			if diff := cmp.Diff(merge(lower, upper), merged(rt, marks, dirs...), cmpopts.EquateEmpty()); diff != "" {
				rt.Fatalf("merged view (-want +got):\n%s", diff)
			}
		}))
	}
}

// through makes the tree in dir by way of an archive.
func through(t tree.T, work, dir string, tr tree.Tree, opts layer.ApplyOptions) {
	t.Helper()
	from := tempDir(t, work)
	var treeOpts []tree.Option
	if opts.UserXattr {
		treeOpts = append(treeOpts, tree.UserXattr)
	}
	tree.Create(t, from, tr, treeOpts...)
	tree.Create(t, dir, nil)
	data, _ := write(t, from, layer.WriteOptions{Marks: opts.Marks})
	if _, err := apply(t, dir, data, opts); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

// Archives of others, on top of one with etc/{a,b} and usr/bin/x.
func TestMergedViewOfArchives(t *testing.T) {
	needRoot(t)
	for _, c := range []struct {
		name    string
		entries []entry
		want    []string
	}{
		{"whiteout and recreate", []entry{file(".wh.etc", ""), dir("etc"), file("etc/c", "")}, []string{"etc", "etc/c", "usr", "usr/bin", "usr/bin/x"}},
		{"recreate and whiteout", []entry{dir("etc"), file("etc/c", ""), file(".wh.etc", "")}, []string{"etc", "etc/c", "usr", "usr/bin", "usr/bin/x"}},
		{"opaque after its entries", []entry{dir("etc"), file("etc/c", ""), file("etc/.wh..wh..opq", "")}, []string{"etc", "etc/c", "usr", "usr/bin", "usr/bin/x"}},
		{"directory becomes a link", []entry{symlink("etc", "usr")}, []string{"etc", "usr", "usr/bin", "usr/bin/x"}},
		{"whiteout in a directory of its own", []entry{dir("new"), file("new/.wh.gone", ""), file("new/there", "")},
			[]string{"etc", "etc/a", "etc/b", "new", "new/there", "usr", "usr/bin", "usr/bin/x"}},
		{"whiteout in an opaque directory", []entry{dir("etc"), file("etc/.wh..wh..opq", ""), file("etc/.wh.a", "")}, []string{"etc", "usr", "usr/bin", "usr/bin/x"}},
		{"whiteouts beneath an opaque directory", []entry{file("usr/.wh..wh..opq", ""), file("usr/bin/.wh.x", ""), file("usr/bin/y", "")},
			[]string{"etc", "etc/a", "etc/b", "usr", "usr/bin", "usr/bin/y"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lower, upper := t.TempDir(), t.TempDir()
			tree.Create(t, lower, tree.New(tree.File("etc/a", ""), tree.File("etc/b", ""), tree.File("usr/bin/x", "")))
			if _, err := apply(t, upper, archive(t, c.entries...), layer.ApplyOptions{}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, merged(t, layer.Marks{}, lower, upper).Paths()); diff != "" {
				t.Errorf("merged view (-want +got):\n%s", diff)
			}
		})
	}
}

// A container that is root inside an overlay made on this one keeps its marks,
// which the outer overlay stores escaped (overlayfs.rst, "Nesting overlayfs
// mounts").
func TestNestedOverlaySurvives(t *testing.T) {
	needRoot(t)
	base := t.TempDir()
	for _, name := range []string{"lower", "upper", "work"} {
		tree.Create(t, filepath.Join(base, name), nil)
	}
	stack := overlay.Stack{Lowers: []*os.File{open(t, base+"/lower"), open(t, t.TempDir())}, Upper: open(t, base+"/upper"), Work: open(t, base+"/work")}
	for _, f := range append(stack.Lowers, stack.Upper, stack.Work) {
		defer f.Close()
	}
	m, err := stack.Mount()
	if err != nil {
		t.Fatal(err)
	}
	inside := fmt.Sprintf("/proc/self/fd/%d/d", m.Fd())
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	err = unix.Setxattr(inside, "trusted.overlay.opaque", []byte("y"), 0)
	m.Close()
	if err != nil {
		t.Skipf("needs a kernel that escapes the marks of nested overlays (6.7): %v", err)
	}
	data, _ := write(t, base+"/upper", layer.WriteOptions{})
	to := t.TempDir()
	if _, err := apply(t, to, data, layer.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	got := tree.Read(t, to, tree.AllXattrs)
	want := map[string]string{"trusted.overlay.overlay.opaque": "y"}
	if len(got) != 1 || strings.TrimSpace(path.Base(got[0].Path)) != "d" || !cmp.Equal(got[0].Xattrs, want) {
		t.Errorf("tree %+v, want d with %v", got, want)
	}
}
