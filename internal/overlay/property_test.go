// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"strata/internal/mount"
	"strata/internal/tree"
)

// scratch is a filesystem in memory where that has the attributes, so that a
// thousand stacks can be made and forgotten.
func scratch(t *testing.T) string {
	t.Helper()
	needMount(t)
	dir := t.TempDir() // a detached mount can only be stacked by descriptor
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Skipf("cannot mount tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := mount.Detach(dir); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Setxattr(dir, "user.probe", nil, 0); errors.Is(err, unix.ENOTSUP) { // before Linux 6.6
		return t.TempDir()
	}
	return dir
}

// procPath is a path, with a slash, to what is open only.
func procPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d/", f.Fd()) }

// playground is a random stack in use.
type playground struct {
	Stack
	t    *rapid.T
	dir  string
	open []*os.File
}

func newPlayground(t *rapid.T, scratch string) *playground {
	dir, err := os.MkdirTemp(scratch, "")
	if err != nil {
		t.Fatal(err)
	}
	return &playground{t: t, dir: dir}
}

func (p *playground) close() {
	for _, f := range p.open {
		f.Close()
	}
	os.RemoveAll(p.dir)
}

func (p *playground) mkdir(name string) *os.File {
	name = filepath.Join(p.dir, name)
	if err := os.MkdirAll(name, 0o755); err != nil {
		p.t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		p.t.Fatal(err)
	}
	p.open = append(p.open, f)
	return f
}

// mounted runs f with the path of the mounted stack, where random device nodes
// are not the devices of this machine.
func (p *playground) mounted(s Stack, f func(root *os.File)) {
	m, err := s.Mount()
	if err != nil {
		p.t.Fatal(err)
	}
	defer m.Close()
	if err := mount.SetAttr(m, unix.MOUNT_ATTR_NODEV, 0, false); err != nil {
		p.t.Fatal(err)
	}
	f(m)
}

// drawLayers makes up to three layers: the first is any tree, the others are
// upperdirs of random operations or any trees with marks.
func (p *playground) drawLayers() {
	config := tree.Config{Devices: true, Owners: true, Xattrs: true, OddNames: true, Nanotimes: true}
	p.Empty = p.mkdir("empty")
	for i := range rapid.IntRange(1, 3).Draw(p.t, "layers") {
		layer := p.mkdir(fmt.Sprint("layer", i))
		if i > 0 && rapid.Bool().Draw(p.t, "used") {
			p.operate(Stack{Lowers: p.Lowers, Upper: layer, Work: p.mkdir(fmt.Sprint("work", i))})
		} else {
			config.Marks = i > 0
			tr := p.sensible(tree.Gen(config).Draw(p.t, "layer"))
			tree.Create(p.t, layer.Name(), tr)
		}
		p.Lowers = append(p.Lowers, layer)
	}
	p.Upper, p.Work = p.mkdir("upper"), p.mkdir("work")
}

// sensible leaves out whiteouts in directories that no older layer has, or that
// hide them: the kernel would show those as names without a file.
func (p *playground) sensible(tr tree.Tree) tree.Tree {
	if len(p.Lowers) == 0 {
		return tr
	}
	hides := map[string]bool{}
	for _, e := range tr {
		hides[e.Path] = e.Kind != tree.KindDir || e.Opaque || hides[path.Dir(e.Path)]
	}
	var sensible tree.Tree
	p.mounted(Stack{Lowers: p.Lowers, Empty: p.Empty}, func(root *os.File) {
		for _, e := range tr {
			dir := path.Dir(e.Path)
			st, err := os.Lstat(procPath(root) + dir)
			if e.Kind != tree.KindWhiteout || err == nil && st.IsDir() && !hides[dir] {
				sensible = append(sensible, e)
			}
		}
	})
	return sensible
}

func (p *playground) operate(s Stack) {
	p.mounted(s, func(root *os.File) {
		for range rapid.IntRange(0, 8).Draw(p.t, "operations") {
			o := drawOperation(p.t, root)
			p.t.Logf("%s: %v", o, o.run(root))
		}
	})
}

func (p *playground) read(s Stack, opts ...tree.Option) (tr tree.Tree) {
	opts = append(opts, tree.AllXattrs, tree.NoMarks)
	p.mounted(s, func(root *os.File) { tr = tree.Read(p.t, procPath(root), opts...) })
	return tr
}

func (p *playground) changes() []string {
	list := []string{}
	for c, err := range Changes(p.Upper, p.Lowers, Marks{}) {
		if err != nil {
			p.t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%c %q", c.Kind, c.Path))
	}
	return list
}

// TestChangesEqualsTwoWalks compares Changes, which sees the upperdir only, with
// what two walks of the whole merged view, before and after, say.
func TestChangesEqualsTwoWalks(t *testing.T) {
	dir := scratch(t)
	rapid.Check(t, func(t *rapid.T) {
		p := newPlayground(t, dir)
		defer p.close()
		p.drawLayers()
		before := p.read(Stack{Lowers: p.Lowers, Empty: p.Empty})
		p.operate(p.Stack)
		after := p.read(p.Stack)
		if diff := cmp.Diff(twoWalks(before, after), p.changes()); diff != "" {
			t.Errorf("(-two walks, +Changes):\n%s", diff)
		}
	})
}

// TestNormaliseKeepsTheView normalises after random operations, stopped at a
// random step: what is seen, and what is listed as changed, must stay.
func TestNormaliseKeepsTheView(t *testing.T) {
	dir := scratch(t)
	rapid.Check(t, func(t *rapid.T) {
		p := newPlayground(t, dir)
		defer p.close()
		p.drawLayers()
		p.operate(p.Stack)
		before, listed := p.read(p.Stack, tree.WithRoot), p.changes()
		stop := rapid.IntRange(1, 20).Draw(t, "stop")
		n := normaliser{walk: walk{marks: Marks{}}, after: func(steps int) error {
			if steps == stop {
				return errStop
			}
			return nil
		}}
		for range 2 { // once interrupted, once to the end
			if _, err := n.run(p.Upper, p.Lowers); err != nil && !errors.Is(err, errStop) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, p.read(p.Stack, tree.WithRoot)); diff != "" {
				t.Errorf("merged view after %d steps (-before +after):\n%s", n.steps, diff)
			}
			if diff := cmp.Diff(listed, p.changes()); diff != "" {
				t.Errorf("changes after %d steps (-before +after):\n%s", n.steps, diff)
			}
		}
		p.wantNormal()
	})
}

// wantNormal checks that there is nothing left to normalise.
func (p *playground) wantNormal() {
	for _, e := range tree.Read(p.t, p.Upper.Name()) {
		if e.Opaque {
			p.t.Errorf("%s is still opaque", e.Path)
		}
	}
	if n, err := Normalise(p.Upper, p.Lowers, Marks{}); n != 0 || err != nil {
		p.t.Errorf("normalised again: %d steps, %v", n, err)
	}
}

// twoWalks is the definition of Changes, with Docker's rules for parents.
func twoWalks(before, after tree.Tree) []string {
	old, now := byPath(before), byPath(after)
	var kinds = map[string]byte{}
	for p, e := range old {
		_, there := now[p]
		switch parent := path.Dir(p); {
		case there && !same(e, now[p]):
			kinds[p] = Modified
		case !there && (parent == "." || now[parent].Kind == tree.KindDir):
			kinds[p] = Deleted
		}
	}
	for p := range now {
		if _, there := old[p]; !there {
			kinds[p] = Added
		}
	}
	var paths []string
	for p := range kinds {
		paths = append(paths, p)
		for dir := path.Dir(p); dir != "." && kinds[dir] == 0; dir = path.Dir(dir) {
			kinds[dir] = Modified
			paths = append(paths, dir)
		}
	}
	slices.SortFunc(paths, tree.ComparePaths)
	list := []string{}
	for _, p := range slices.Compact(paths) {
		list = append(list, fmt.Sprintf("%c %q", kinds[p], "/"+p))
	}
	return list
}

// byPath gives each name of a file the whole entry.
func byPath(tr tree.Tree) map[string]tree.Entry {
	entries := map[string]tree.Entry{}
	for _, e := range tr {
		p := e.Path
		if e.Kind == tree.KindHardLink {
			e = entries[e.Target]
		}
		entries[p] = e
	}
	return entries
}

func same(a, b tree.Entry) bool {
	a.Path = b.Path
	return reflect.DeepEqual(a, b)
}
