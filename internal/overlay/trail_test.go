// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"strata/internal/tree"
)

// TestTrailsEqualViews compares Trails, which reads layers, with what the kernel
// shows of the oldest layer, the two oldest, and so on.
func TestTrailsEqualViews(t *testing.T) {
	dir := scratch(t)
	rapid.Check(t, func(t *rapid.T) {
		p := newPlayground(t, dir)
		defer p.close()
		p.drawLayers()
		if rapid.Bool().Draw(t, "twice") { // the same layer again, as empty ones are
			p.Lowers = append(p.Lowers, p.Lowers[rapid.IntRange(0, len(p.Lowers)-1).Draw(t, "which")])
		}
		var layers []TracedLayer
		for _, l := range p.Lowers {
			layers = append(layers, TracedLayer{Dir: l})
		}
		if diff := cmp.Diff(p.stepsByViews(), steps(t, layers, TrailOptions{Gone: true})); diff != "" {
			t.Errorf("(-views, +Trails):\n%s", diff)
		}
	})
}

// stepsByViews lists what each layer does to what is shown without it.
func (p *playground) stepsByViews() map[string][]string {
	steps, before := map[string][]string{}, map[string]tree.Entry{}
	for i := range p.Lowers {
		after := nameByName(p.read(Stack{Lowers: distinctNewest(p.Lowers[:i+1]), Empty: p.Empty}))
		for path, e := range after {
			old, was := before[path]
			switch {
			case !was:
				steps[path] = append(steps[path], fmt.Sprintf("%d A", i))
			case !cmp.Equal(old, e):
				steps[path] = append(steps[path], fmt.Sprintf("%d C", i))
			}
		}
		for path := range before {
			if _, is := after[path]; !is {
				steps[path] = append(steps[path], fmt.Sprintf("%d D", i))
			}
		}
		before = after
	}
	return steps
}

// distinctNewest leaves the newest of equal layers: the kernel takes no
// directory twice, and they show the same.
func distinctNewest(lowers []*os.File) []*os.File {
	var distinct []*os.File
	for i, l := range lowers {
		if !contains(lowers[i+1:], l) {
			distinct = append(distinct, l)
		}
	}
	return distinct
}

func contains(files []*os.File, f *os.File) bool {
	for _, g := range files {
		if g == f {
			return true
		}
	}
	return false
}

// nameByName describes every name by itself: a hard link as what it is a name of,
// and a directory without its time.
func nameByName(tr tree.Tree) map[string]tree.Entry {
	entries := map[string]tree.Entry{}
	for _, e := range tr {
		path := "/" + e.Path
		if e.Kind == tree.KindDir {
			e.Mtime = time.Time{}
		}
		e.Path = ""
		entries[path] = e
	}
	for _, e := range tr {
		if e.Kind == tree.KindHardLink {
			entries["/"+e.Path] = entries["/"+e.Target]
		}
	}
	delete(entries, "/")
	return entries
}

func steps(t tree.T, layers []TracedLayer, o TrailOptions) map[string][]string {
	all, last := map[string][]string{}, ""
	for trail, err := range Trails(layers, o) {
		if err != nil {
			t.Fatalf("%v", err)
		}
		if last != "" && tree.ComparePaths(last[1:], trail.Path[1:]) >= 0 {
			t.Fatalf("%q comes after %q", trail.Path, last)
		}
		last = trail.Path
		for i, s := range trail.Steps {
			kind, err := trail.Kind(i)
			if err != nil {
				t.Fatalf("%v", err)
			}
			if kind == Modified {
				kind = 'C'
			}
			if kind != Same {
				all[trail.Path] = append(all[trail.Path], fmt.Sprintf("%d %c", s.Layer, kind))
			}
		}
	}
	return all
}

func makeLayers(t *testing.T, trees ...tree.Tree) (layers []TracedLayer) {
	t.Helper()
	for i, tr := range trees {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
		tree.Create(t, dir, tr)
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		layers = append(layers, TracedLayer{Dir: f})
	}
	return layers
}

func TestTrailsOptions(t *testing.T) {
	needMount(t) // whoever may not mount may not set marks either
	layers := makeLayers(t,
		tree.New(tree.File("a/b/c", "1"), tree.File("a/b/d", "1"), tree.File("z/z", "z"), tree.Dir("tmp", tree.Mode(0o1777))),
		tree.New(tree.Whiteout("a/b"), tree.File("tmp/x", "1")),
		tree.New(tree.File("a/b/c", "2")),
		tree.New(tree.Dir("a/b", tree.Opaque), tree.File("a/b/e", "2")),
	)
	layers[1].Implied = map[string]bool{".": true, "tmp": true, "a": true}
	for _, c := range []struct {
		name string
		o    TrailOptions
		want map[string][]string
	}{
		{"gone", TrailOptions{Path: "a", Gone: true}, map[string][]string{
			"/a": {"0 A"}, "/a/b": {"0 A", "1 D", "2 A"}, "/a/b/c": {"0 A", "1 D", "2 A", "3 D"}, "/a/b/d": {"0 A", "1 D"}, "/a/b/e": {"3 A"},
		}},
		{"path", TrailOptions{Path: "a/b/e"}, map[string][]string{"/a/b/e": {"3 A"}}},
		{"no such path", TrailOptions{Path: "a/b/" + strings.Repeat("x", 300)}, map[string][]string{}},
		{"implied", TrailOptions{Path: "tmp"}, map[string][]string{"/tmp": {"0 A"}, "/tmp/x": {"1 A"}}},
		{"from", TrailOptions{From: 3}, map[string][]string{
			"/a": {"0 A"}, "/a/b": {"0 A", "1 D", "2 A"}, "/a/b/c": {"0 A", "1 D", "2 A", "3 D"}, "/a/b/e": {"3 A"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, steps(t, layers, c.o)); diff != "" {
				t.Errorf("(-want, +got):\n%s", diff)
			}
		})
	}
}

// TestTrailsOpenFew goes deeper, through more layers, than there may be
// descriptors.
func TestTrailsOpenFew(t *testing.T) {
	deep := strings.Repeat("d/", 100)
	var trees []tree.Tree
	for i := range 20 {
		trees = append(trees, tree.New(tree.File(deep+"f", fmt.Sprint(i)), tree.File("e", fmt.Sprint(i))))
	}
	layers := makeLayers(t, trees...)
	most, paths := 0, 0
	w := &trailWalk{layers: layers, compare: walk{}}
	w.yield = func(trail *Trail, err error) bool {
		if err != nil {
			t.Fatal(err)
		}
		paths++
		most = max(most, w.open)
		if kind, err := trail.Kind(len(trail.Steps) - 1); err != nil || trail.Steps[0].Type != unix.DT_DIR && kind != Modified {
			t.Errorf("%s: %c %v", trail.Path, kind, err)
		}
		return true
	}
	if err := w.root(); err != nil {
		t.Fatal(err)
	}
	if paths != 102 || most > manyOpen+2*20 {
		t.Errorf("%d paths, at most %d descriptors; want 102 and no more than %d", paths, most, manyOpen+40)
	}
	if w.open != 0 {
		t.Errorf("%d descriptors are left", w.open)
	}
}
