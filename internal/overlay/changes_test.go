// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strata/internal/tree"
)

// base is the image of the tests: two layers, so that the newer one has marks.
var base = []tree.Tree{
	tree.New(
		tree.File("etc/profile", "old", tree.Mode(0o640), tree.Owner(1, 2), tree.Xattr("user.x", "y")),
		tree.File("etc/passwd", "root"),
		tree.File("etc/ssh/config", "Port 22"),
		tree.Symlink("etc/link", "profile"),
		tree.File("bin/a", "elf", tree.Mode(0o4755)),
		tree.HardLink("bin/b", "bin/a"),
		tree.Char("dev/null", 1, 3),
		tree.File("gone/below", ""),
		tree.Dir("empty"),
	),
	tree.New(
		tree.Whiteout("gone"),
		tree.File("etc/ssh/key", "secret"),
		tree.Dir("tmp", tree.Mode(0o1777)),
	),
}

// world is an overlay mount with what is beneath it.
type world struct {
	Stack
	root string // of the mount, with a slash
}

// newWorld creates the layers and mounts them.
func newWorld(t testing.TB, layers ...tree.Tree) *world {
	t.Helper()
	return newWorldOf(t, Stack{}, layers...)
}

func newWorldOf(t testing.TB, s Stack, layers ...tree.Tree) *world {
	t.Helper()
	needMount(t)
	dir := t.TempDir()
	needMarks(t, Marks{UserXattr: s.UserXattr}, dir)
	for i, layer := range layers {
		name := filepath.Join(dir, fmt.Sprint("lower", i))
		layer = withoutDevices(layer)
		tree.Create(t, name, layer)
		s.Lowers = append(s.Lowers, openDir(t, name))
	}
	s.Upper, s.Work = makeDir(t, dir+"/upper"), makeDir(t, dir+"/work")
	m, err := s.Mount()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return &world{s, procPath(m)}
}

// needMarks skips where the marks cannot be set: trusted.* in a user namespace.
func needMarks(t testing.TB, m Marks, dir string) {
	t.Helper()
	if err := unix.Lsetxattr(dir, m.attr("probe"), nil, 0); err != nil {
		t.Skipf("set %s: %v", m.attr("probe"), err)
	}
}

// withoutDevices leaves out what cannot be made in a user namespace.
func withoutDevices(tr tree.Tree) tree.Tree {
	if os.Getenv(rootlessEnv) == "" {
		return tr
	}
	return slices.DeleteFunc(slices.Clone(tr), func(e tree.Entry) bool {
		return e.Kind == tree.KindChar || e.Kind == tree.KindBlock
	})
}

func (w *world) sh(t testing.TB, script string) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-e", "-c", script)
	cmd.Dir = w.root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// changes lists "C /etc" and so on.
func changes(t testing.TB, s Stack) []string {
	t.Helper()
	list := []string{}
	for c, err := range Changes(s.Upper, s.Lowers, Marks{UserXattr: s.UserXattr}) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%c %s", c.Kind, c.Path))
	}
	return list
}

func TestChanges(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         []string
	}{
		{"nothing", ``, nil},
		{"edit", `echo new >etc/profile`, []string{"C /etc", "C /etc/profile"}},
		{"append", `echo new >>etc/profile`, []string{"C /etc", "C /etc/profile"}},
		{"add", `echo new >etc/new`, []string{"C /etc", "A /etc/new"}},
		{"add below new", `mkdir -p srv/a/b && echo x >srv/a/b/c`, []string{"A /srv", "A /srv/a", "A /srv/a/b", "A /srv/a/b/c"}},
		{"chmod", `chmod 600 etc/passwd`, []string{"C /etc", "C /etc/passwd"}},
		{"chmod of a directory", `chmod 700 etc/ssh`, []string{"C /etc", "C /etc/ssh"}},
		{"chmod of set-id", `chmod u-s bin/a`, []string{"C /bin", "C /bin/a"}},
		{"chown", `chown 5 etc/passwd`, []string{"C /etc", "C /etc/passwd"}},
		{"chown of a link", `chown -h 5 etc/link`, []string{"C /etc", "C /etc/link"}},
		{"touch", `touch etc/passwd`, []string{"C /etc", "C /etc/passwd"}},
		{"xattr", `setfattr -n user.x -v z etc/profile`, []string{"C /etc", "C /etc/profile"}},
		{"xattr removed", `setfattr -x user.x etc/profile`, []string{"C /etc", "C /etc/profile"}},
		{"xattr as it was", `setfattr -n user.x -v y etc/profile`, nil},
		{"capability", `setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 etc/passwd`,
			[]string{"C /etc", "C /etc/passwd"}},
		{"opened for writing", `: >>etc/passwd`, nil},
		{"edited back", `cp -p etc/passwd tmp/x; echo new >etc/passwd; cat tmp/x >etc/passwd; touch -r tmp/x etc/passwd; rm tmp/x; touch -d @1600000000 tmp`, nil},
		{"same time, other bytes", `echo toor >tmp/x; truncate -s 4 tmp/x; cat tmp/x >etc/passwd; rm tmp/x; touch -d @1600000000 tmp etc/passwd`,
			[]string{"C /etc", "C /etc/passwd"}},
		{"a directory's time", `touch tmp/x; rm tmp/x`, []string{"C /tmp"}},
		{"same and a new link", `ln etc/passwd etc/passwd2`, []string{"C /etc", "A /etc/passwd2"}},
		{"rm", `rm etc/passwd`, []string{"C /etc", "D /etc/passwd"}},
		{"rm of new", `echo >etc/new; rm etc/new; touch -d @1600000000 etc`, nil},
		{"rm -r", `rm -r etc`, []string{"D /etc"}},
		{"rm and mkdir", `rm -r etc; mkdir etc; touch -d @1600000000 etc`,
			[]string{"C /etc", "D /etc/link", "D /etc/passwd", "D /etc/profile", "D /etc/ssh"}},
		{"rm, mkdir and some again", `cp -a etc/passwd etc/ssh tmp; rm -r etc; mkdir etc; mv tmp/passwd etc; mkdir etc/ssh; mv tmp/ssh/config etc/ssh; rm -r tmp/ssh; echo >etc/a`,
			[]string{"C /etc", "A /etc/a", "D /etc/link", "D /etc/profile", "C /etc/ssh", "D /etc/ssh/key", "C /tmp"}},
		{"rm and file again", `rm etc/passwd; echo other >etc/passwd`, []string{"C /etc", "C /etc/passwd"}},
		{"mkdir over what a layer removed", `mkdir gone; touch gone/x`, []string{"A /gone", "A /gone/x"}},
		{"mv of a file", `mv etc/passwd srv`, []string{"C /etc", "D /etc/passwd", "A /srv"}},
		{"mv of a directory", `mv etc/ssh srv`, []string{"C /etc", "D /etc/ssh", "A /srv", "A /srv/config", "A /srv/key"}},
		{"mv of a new directory", `mkdir a; touch a/x; mv a b`, []string{"A /b", "A /b/x"}},
		{"file to directory", `rm etc/passwd; mkdir etc/passwd; touch etc/passwd/x`,
			[]string{"C /etc", "C /etc/passwd", "A /etc/passwd/x"}},
		{"directory to file", `rm -r etc/ssh; touch etc/ssh`, []string{"C /etc", "C /etc/ssh"}},
		{"directory to link", `rm -r etc/ssh; ln -s /tmp etc/ssh`, []string{"C /etc", "C /etc/ssh"}},
		{"link target", `ln -sfn other etc/link`, []string{"C /etc", "C /etc/link"}},
		{"hard link edited", `echo new >bin/b`, []string{"C /bin", "C /bin/b"}},
		{"new hard links", `echo >a; ln a b; ln a c`, []string{"A /a", "A /b", "A /c"}},
		{"devices", `mknod dev/full c 1 7; mkfifo dev/pipe; rm dev/null; mknod dev/null b 7 0`,
			[]string{"C /dev", "A /dev/full", "C /dev/null", "A /dev/pipe"}},
		{"device number", `rm dev/null; mknod dev/null c 1 5; touch -d @1600000000 dev/null`, []string{"C /dev", "C /dev/null"}},
		{"sparse", `truncate -s 1T big`, []string{"A /big"}},
		{"empty directory", `rmdir empty; mkdir full`, []string{"D /empty", "A /full"}},
		{"order", `mkdir a; touch a/b a.b a-b`, []string{"A /a", "A /a/b", "A /a-b", "A /a.b"}},
		{"odd names", `touch "$(printf 'a\nb')" ' ' "$(printf '\377')"`, []string{"A / ", "A /a\nb", "A /\xff"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, base...)
			w.sh(t, c.script)
			if c.want == nil {
				c.want = []string{}
			}
			if diff := cmp.Diff(c.want, changes(t, w.Stack)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.script, diff)
			}
		})
	}
}

// What a newer layer hides from an older one is not there for Changes either.
func TestChangesBelowHidingLayers(t *testing.T) {
	old := tree.New(tree.File("a/x", ""), tree.File("a/sub/y", ""), tree.File("b/x", ""), tree.File("c/x", ""))
	for _, c := range []struct {
		name   string
		layers []tree.Tree
		script string
		want   []string
	}{
		{"opaque directory", []tree.Tree{old, tree.New(tree.Dir("a", tree.Opaque))}, `mkdir a/sub; touch a/x a/sub/y`,
			[]string{"C /a", "A /a/sub", "A /a/sub/y", "A /a/x"}},
		{"opaque directory made again", []tree.Tree{old, tree.New(tree.File("a/z", ""), tree.Dir("a", tree.Opaque))}, `rm -r a; mkdir a`,
			[]string{"C /a", "D /a/z"}},
		{"whiteout below an opaque directory", []tree.Tree{old, tree.New(tree.Whiteout("a/x"))}, `rm -r a; mkdir a`,
			[]string{"C /a", "D /a/sub"}},
		{"a file between", []tree.Tree{old, tree.New(tree.File("b", "")), tree.New(tree.Dir("b"))}, `touch b/x`,
			[]string{"C /b", "A /b/x"}},
		{"a whiteout between", []tree.Tree{old, tree.New(tree.Whiteout("c")), tree.New(tree.Dir("c"))}, `touch c/x`,
			[]string{"C /c", "A /c/x"}},
		{"merged", []tree.Tree{old, tree.New(tree.File("a/z", "")), tree.New(tree.File("a/sub/z", ""))}, `touch a/x a/z a/sub/y a/sub/z; rm a/sub/y`,
			[]string{"C /a", "C /a/sub", "D /a/sub/y", "C /a/sub/z", "C /a/x", "C /a/z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.layers...)
			w.sh(t, c.script)
			if diff := cmp.Diff(c.want, changes(t, w.Stack)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.script, diff)
			}
		})
	}
}

// In a directory with many new names the lowers' are read once, whiteouts and all.
func TestChangesOfManyNames(t *testing.T) {
	w := newWorld(t, tree.New(tree.File("d/n77", ""), tree.File("d/n78", "")), tree.New(tree.Whiteout("d/n77")))
	w.sh(t, `for i in $(seq 10 99); do touch d/n$i; done; rm d/n99`)
	got := changes(t, w.Stack)
	var want []string
	for i := 10; i < 99; i++ {
		kind := "A"
		if i == 78 {
			kind = "C"
		}
		want = append(want, fmt.Sprintf("%s /d/n%d", kind, i))
	}
	if diff := cmp.Diff(append([]string{"C /d"}, want...), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestChangeWhat(t *testing.T) {
	for _, c := range []struct {
		script string
		want   []Aspect
		size   int64
	}{
		{`chmod 777 etc/passwd`, []Aspect{Mode}, 4},
		{`chown 7 etc/passwd`, []Aspect{Owner}, 4},
		{`touch etc/passwd`, []Aspect{Times}, 4},
		{`setfattr -n user.x -v z etc/passwd`, []Aspect{Xattrs}, 4},
		{`printf toor >etc/passwd`, []Aspect{Times, Content}, 4},
		{`printf longer >etc/passwd; chmod 1 etc/passwd`, []Aspect{Mode, Times, Content}, 6},
		{`rm etc/passwd; mkfifo etc/passwd`, []Aspect{Type}, 0},
	} {
		t.Run(c.script, func(t *testing.T) {
			w := newWorld(t, base...)
			w.sh(t, c.script)
			for change, err := range Changes(w.Upper, w.Lowers, Marks{}) {
				if change.Path != "/etc/passwd" {
					continue
				}
				what, whatErr := change.What()
				new, old, statErr := change.Stat()
				if err := errors.Join(err, whatErr, statErr); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, what); diff != "" || new.Size != c.size || old.Size != 4 {
					t.Errorf("sizes %d, before %d; aspects (-want +got):\n%s", new.Size, old.Size, diff)
				}
				return
			}
			t.Error("not listed")
		})
	}
}

// A layer may say that nothing older is to be seen at all. The kernel ignores
// that mark at the root of a layer, so Mount and Changes see to it.
func TestOpaqueRoot(t *testing.T) {
	w := newWorld(t, base[0], tree.New(tree.File("new", ""), tree.Dir(".", tree.Opaque)))
	entries, err := os.ReadDir(w.root)
	if err != nil || len(entries) != 1 || entries[0].Name() != "new" {
		t.Errorf("the mount shows %v, %v; want only new", entries, err)
	}
	w.sh(t, `mkdir etc`)
	if diff := cmp.Diff([]string{"A /etc"}, changes(t, w.Stack)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestChangesStopsWhenAsked(t *testing.T) {
	w := newWorld(t, base...)
	w.sh(t, `touch etc/a etc/b; mkdir -p x/y`)
	for i := range 5 {
		seen := 0
		for _, err := range Changes(w.Upper, w.Lowers, Marks{}) {
			if err != nil {
				t.Fatal(err)
			}
			if seen++; seen == i {
				break
			}
		}
	}
}

// Marks of features that are off here mean an upperdir from elsewhere.
func TestChangesRefusesForeignMarks(t *testing.T) {
	for _, c := range []struct{ name, script, attr, want string }{
		{"redirect", `mkdir dir`, "redirect", "read changes of /dir: has the mark trusted.overlay.redirect, of a feature that is never on here"},
		{"redirect in etc", `mkdir etc/dir`, "redirect", "read changes of /etc/dir: has the mark trusted.overlay.redirect, of a feature that is never on here"},
		{"metacopy", `touch etc/passwd`, "metacopy", "read changes of /etc/passwd: has the mark trusted.overlay.metacopy, of a feature that is never on here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, base...)
			w.sh(t, c.script)
			path := c.script[len("mkdir "):]
			if err := unix.Setxattr(filepath.Join(w.Upper.Name(), path), "trusted.overlay."+c.attr, []byte("x"), 0); err != nil {
				t.Fatal(err)
			}
			var got error
			for _, err := range Changes(w.Upper, w.Lowers, Marks{}) {
				got = err
			}
			if got == nil || got.Error() != c.want {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

// A nested overlay keeps its marks escaped by the outer one. They are content.
func TestChangesOfNestedOverlay(t *testing.T) {
	w := newWorld(t, base...)
	if err := unix.Setxattr(filepath.Join(w.root, "etc/ssh"), "trusted.overlay.opaque", []byte("y"), 0); errors.Is(err, unix.ENOTSUP) {
		t.Skip("needs a kernel that escapes the marks of nested overlays (6.7)")
	} else if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"C /etc", "C /etc/ssh"}, changes(t, w.Stack)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestChangesUserXattr(t *testing.T) {
	w := newWorldOf(t, Stack{UserXattr: true}, base...)
	w.sh(t, `rm -r etc/ssh; mkdir etc/ssh; touch -d @1600000000 etc/ssh`)
	want := []string{"C /etc", "C /etc/ssh", "D /etc/ssh/config", "D /etc/ssh/key"}
	if diff := cmp.Diff(want, changes(t, w.Stack)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestIsMark(t *testing.T) {
	for _, c := range []struct {
		attr          string
		trusted, user bool
	}{
		{"trusted.overlay.opaque", true, false},
		{"trusted.overlay.origin", true, false},
		{"user.overlay.opaque", false, true},
		{"trusted.overlay.overlay.opaque", false, false},
		{"user.overlay.overlay.whiteout", false, false},
		{"trusted.overlayx", false, false},
		{"security.capability", false, false},
	} {
		if got := (Marks{}).IsMark(c.attr); got != c.trusted {
			t.Errorf("%s: got %v, want %v", c.attr, got, c.trusted)
		}
		if got := (Marks{UserXattr: true}).IsMark(c.attr); got != c.user {
			t.Errorf("%s with userxattr: got %v, want %v", c.attr, got, c.user)
		}
	}
}

func TestMakeWhiteout(t *testing.T) {
	dir := makeDir(t, t.TempDir())
	m := Marks{}
	if err := m.MakeWhiteout(int(dir.Fd()), "x"); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir.Name()+"/x", &st); err != nil || !IsWhiteout(&st) {
		t.Errorf("got mode %o, device %d, %v", st.Mode, st.Rdev, err)
	}
	if err := m.MakeWhiteout(int(dir.Fd()), "x"); !errors.Is(err, unix.EEXIST) {
		t.Errorf("once more: got %v, want %v", err, unix.EEXIST)
	}
}
