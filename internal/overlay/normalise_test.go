// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strata/internal/tree"
)

func TestNormalise(t *testing.T) {
	for _, c := range []struct {
		name, script string
		upper        []string // what is left, a whiteout with "-", an opaque directory with "!"
	}{
		{"nothing", ``, nil},
		{"new stays", `mkdir -p a/b; touch a/b/c`, []string{"a", "a/b", "a/b/c"}},
		{"copied up and not changed", `: >>etc/passwd; : >>etc/ssh/config`, nil},
		{"one of two changed", `: >>etc/passwd; echo >etc/ssh/config`, []string{"etc", "etc/ssh", "etc/ssh/config"}},
		{"a directory's mode", `chmod 700 etc/ssh`, []string{"etc", "etc/ssh"}},
		{"same but linked anew", `ln etc/passwd etc/passwd2`, []string{"etc", "etc/passwd", "etc/passwd2"}},
		{"link of the image", `: >>bin/a`, []string{"bin", "bin/a"}},
		{"whiteout that counts", `rm etc/passwd`, []string{"etc", "-etc/passwd"}},
		{"rm -r", `rm -r etc`, []string{"-etc"}},
		{"made again", `rm -r etc; mkdir -m 700 etc; mkdir etc/ssh; touch etc/ssh/key`,
			[]string{"etc", "-etc/link", "-etc/passwd", "-etc/profile", "etc/ssh", "-etc/ssh/config", "etc/ssh/key"}},
		{"made again with the same", `cp -a etc/ssh/key tmp; rm -r etc/ssh; mkdir etc/ssh; mv tmp/key etc/ssh; touch -d @1600000000 etc/ssh etc tmp`,
			[]string{"etc", "etc/ssh", "-etc/ssh/config"}},
		{"made again over what a layer removed", `mkdir gone`, []string{"gone"}},
		{"directory for a file", `rm etc/passwd; mkdir etc/passwd`, []string{"etc", "etc/passwd"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, base...)
			w.sh(t, c.script)
			testNormalise(t, w.Stack, c.upper)
		})
		t.Run(c.name+" (userxattr)", func(t *testing.T) {
			w := newWorldOf(t, Stack{UserXattr: true}, base...)
			w.sh(t, c.script)
			testNormalise(t, w.Stack, c.upper)
		})
	}
}

func testNormalise(t *testing.T, s Stack, want []string) {
	t.Helper()
	listed := changes(t, s)
	steps, err := Normalise(s.Upper, s.Lowers, Marks{UserXattr: s.UserXattr})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, marked(t, s)); diff != "" {
		t.Errorf("the upperdir after %d steps (-want +got):\n%s", steps, diff)
	}
	if diff := cmp.Diff(listed, changes(t, s)); diff != "" {
		t.Errorf("changes (-before +after):\n%s", diff)
	}
}

func marked(t *testing.T, s Stack) (paths []string) {
	t.Helper()
	var opts []tree.Option
	if s.UserXattr {
		opts = append(opts, tree.UserXattr)
	}
	for _, e := range tree.Read(t, s.Upper.Name(), opts...) {
		switch {
		case e.Kind == tree.KindWhiteout:
			e.Path = "-" + e.Path
		case e.Opaque:
			e.Path = "!" + e.Path
		}
		paths = append(paths, e.Path)
	}
	return paths
}

// Whiteouts of what no lower has come from stacks whose layers have changed
// places; as names that cannot be found they would be in the way of an rmdir.
func TestNormaliseDropsNeedlessWhiteouts(t *testing.T) {
	w := newWorld(t, base...)
	tree.Create(t, w.Upper.Name(), tree.New(
		tree.Whiteout("never"), tree.Whiteout("gone"), tree.Whiteout("new/never"), tree.Whiteout("etc/passwd")))
	testNormalise(t, w.Stack, []string{"etc", "-etc/passwd", "new"})
}

// Stopped after any step, the merged view is what it was.
func TestNormaliseInterrupted(t *testing.T) {
	const script = `cp -a etc/ssh/key etc/profile tmp; : >>bin/a; rm -r etc; mkdir -p etc/ssh; mv tmp/key etc/ssh; mv tmp/profile etc; touch etc/ssh/new`
	for stop := 1; ; stop++ {
		w := newWorld(t, base...)
		w.sh(t, script)
		before := tree.Read(t, w.root, tree.AllXattrs, tree.NoMarks, tree.WithRoot)
		n := normaliser{after: func(steps int) error {
			if steps == stop {
				return errStop
			}
			return nil
		}}
		_, err := n.run(w.Upper, w.Lowers)
		after := tree.Read(t, mountAt(t, w.Stack), tree.AllXattrs, tree.NoMarks, tree.WithRoot)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("merged view after %d steps (-before +after):\n%s", n.steps, diff)
		}
		if err == nil {
			break
		}
	}
}

func TestNormaliseRefusesDotWh(t *testing.T) {
	for _, script := range []string{`touch .wh.x`, `mkdir -p a/b; touch a/b/.wh.x`, `touch etc/.wh..wh..opq`, `mkdir .wh.dir`} {
		w := newWorld(t, base...)
		w.sh(t, script)
		path := "/" + script[strings.LastIndexByte(script, ' ')+1:]
		_, err := Normalise(w.Upper, w.Lowers, Marks{})
		want := "normalise " + path + ": a name that begins with .wh. cannot be in a layer: it would mean a whiteout (image-spec, layer.md)"
		if err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", script, err, want)
		}
	}
}

func TestNormaliseRefusesForeignMarks(t *testing.T) {
	w := newWorld(t, base...)
	w.sh(t, `touch etc/passwd`)
	if err := unix.Setxattr(w.Upper.Name()+"/etc/passwd", "trusted.overlay.metacopy", nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Normalise(w.Upper, w.Lowers, Marks{}); err == nil || !strings.HasPrefix(err.Error(), "normalise /etc/passwd: has the mark") {
		t.Errorf("got %v", err)
	}
}

// The kernel lists a whiteout in a directory that only one layer has as a name
// that cannot be found, unless the directory is marked as one that may hold some.
func TestMayHoldWhiteouts(t *testing.T) {
	needMount(t)
	eachMarks(t, func(t *testing.T, m Marks) {
		s := newStack(t, 2)
		s.UserXattr = m.UserXattr
		for _, layer := range []*os.File{s.Lowers[1], s.Upper} {
			name := "only-" + filepath.Base(layer.Name())
			tree.Create(t, layer.Name(), tree.New(tree.Whiteout(name+"/hidden"), tree.File(name+"/shown", "")))
			for range 2 { // the second changes nothing
				if err := m.SetMayHoldWhiteouts(int(layer.Fd()), name); err != nil {
					t.Fatal(err)
				}
			}
		}
		root := mountAt(t, s)
		for _, dir := range []string{"only-lower1", "only-upper"} {
			entries, err := os.ReadDir(root + dir)
			if err != nil || len(entries) != 1 || entries[0].Name() != "shown" {
				t.Errorf("%s shows %v, %v", dir, entries, err)
			}
		}
		if err := os.RemoveAll(root + "only-lower1"); err != nil {
			t.Error(err)
		}
	})
}

// What was done before an error is complete, times of directories included.
func TestNormaliseErrorLeavesTimes(t *testing.T) {
	w := newWorld(t, base...)
	w.sh(t, `: >>etc/passwd; touch etc/profile`)
	before := tree.Read(t, w.Upper.Name())
	stop := errors.New("stop")
	n := normaliser{after: func(int) error { return stop }}
	if _, err := n.run(w.Upper, w.Lowers); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(before.Without("etc/passwd"), tree.Read(t, w.Upper.Name())); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}
