// SPDX-License-Identifier: Apache-2.0

package tree_test

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"strata/internal/tree"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: owners, devices, trusted attributes")
	}
}

func TestRoundTrip(t *testing.T) {
	needRoot(t)
	all := tree.Config{Marks: true, Devices: true, Owners: true, Xattrs: true, OddNames: true, Nanotimes: true}
	for _, opts := range [][]tree.Option{nil, {tree.UserXattr}} {
		rapid.Check(t, func(rt *rapid.T) {
			want := tree.Gen(all).Draw(rt, "tree")
			dir, err := os.MkdirTemp(t.TempDir(), "")
			if err != nil {
				rt.Fatal(err)
			}
			tree.Create(rt, dir, want, opts...)
			got := tree.Read(rt, dir, opts...)
			if diff := cmp.Diff(want, got); diff != "" {
				rt.Errorf("created and read trees differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadTellsTreesApart(t *testing.T) {
	needRoot(t)
	base := tree.File("f", "x")
	for name, other := range map[string]tree.Entry{
		"content": tree.File("f", "y"), "mode": tree.File("f", "x", tree.Mode(0o600)),
		"owner": tree.File("f", "x", tree.Owner(0, 1)), "time": tree.File("f", "x", tree.Time(1)),
		"xattr": tree.File("f", "x", tree.Xattr("user.a", "b")), "kind": tree.Fifo("f"),
		"name": tree.File("g", "x"), "whiteout": tree.Whiteout("f"),
	} {
		a, b := t.TempDir(), t.TempDir()
		tree.Create(t, a, tree.New(base))
		tree.Create(t, b, tree.New(other))
		if cmp.Equal(tree.Read(t, a), tree.Read(t, b)) {
			t.Errorf("%s: trees with %+v and %+v read as equal", name, base, other)
		}
	}
}

func TestNewSortsAndAddsParents(t *testing.T) {
	got := tree.New(tree.File("a.b", ""), tree.File("a/b/c", ""), tree.Dir("."), tree.File("a/b/c", "later")).Paths()
	want := []string{".", "a", "a/b", "a/b/c", "a.b"}
	if !slices.Equal(got, want) {
		t.Errorf("paths %q, want %q", got, want)
	}
}

func TestMarksAndAttributesOfOverlay(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	tree.Create(t, dir, tree.New(tree.Dir("d", tree.Opaque, tree.Xattr("trusted.overlay.overlay.opaque", "y")), tree.Whiteout("d/w")))
	want := tree.New(tree.Dir("d", tree.Opaque, tree.Xattr("trusted.overlay.overlay.opaque", "y")), tree.Whiteout("d/w"))
	if diff := cmp.Diff(want, tree.Read(t, dir)); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	raw := tree.Read(t, dir, tree.AllXattrs, tree.NoMarks, tree.WithRoot)
	if raw[0].Path != "." || raw[1].Xattrs["trusted.overlay.opaque"] != "y" || raw[1].Opaque || raw[2].Kind != tree.KindChar {
		t.Errorf("raw read gives %+v", raw)
	}
}
