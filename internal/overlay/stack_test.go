// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/mount"
	"strata/internal/tree"
)

var ways = []struct {
	name string
	way  way
}{{"descriptor", byDescriptor}, {"name", byName}, {"thread", byThread}}

// eachWay runs one suite against every way that the running kernel knows; each
// is the only one on some kernel that is in use.
func eachWay(t *testing.T, suite func(t *testing.T, w way)) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			needMount(t, w.way)
			suite(t, w.way)
		})
	}
}

// mountBy is Mount where no way is named.
func mountBy(s Stack, ways []way) (*os.File, error) {
	if len(ways) == 0 {
		return s.Mount()
	}
	return s.mountBy(ways...)
}

// needMount skips where the kernel or the privileges do not allow a mount in any
// of the ways.
func needMount(t testing.TB, ways ...way) {
	t.Helper()
	s := newStack(t, 1)
	s.UserXattr = os.Getenv(rootlessEnv) != ""
	m, err := mountBy(s, ways)
	if err != nil {
		t.Skipf("cannot mount an overlay here: %v", err)
	}
	m.Close()
}

// newStack makes n lowers, an upperdir and a workdir. The file "which" says
// which layer is seen, and each layer has a file of its own.
func newStack(t testing.TB, n int) Stack {
	t.Helper()
	dir := t.TempDir()
	var s Stack
	for i := range n {
		name := filepath.Join(dir, fmt.Sprint("lower", i))
		tree.Create(t, name, tree.New(
			tree.File("which", fmt.Sprint(i)), tree.File(fmt.Sprint("own", i), "")))
		s.Lowers = append(s.Lowers, openDir(t, name))
	}
	for name, f := range map[string]**os.File{"upper": &s.Upper, "work": &s.Work, "empty": &s.Empty} {
		*f = makeDir(t, filepath.Join(dir, name))
	}
	return s
}

func makeDir(t testing.TB, name string) *os.File {
	t.Helper()
	if err := os.MkdirAll(name, 0o755); err != nil {
		t.Fatal(err)
	}
	return openDir(t, name)
}

func openDir(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// mountAt mounts and returns a path to the detached mount.
func mountAt(t testing.TB, s Stack, ways ...way) string {
	t.Helper()
	m, err := mountBy(s, ways)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return procPath(m)
}

func TestMountLayers(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		for _, n := range []int{1, 2, 64, MaxLowers} {
			for _, readOnly := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d/readonly=%v", n, readOnly), func(t *testing.T) {
					testLayers(t, w, n, readOnly)
				})
			}
		}
	})
}

func testLayers(t *testing.T, w way, n int, readOnly bool) {
	s := newStack(t, n)
	if readOnly {
		s.Upper, s.Work = nil, nil
	}
	m := mountAt(t, s, w)
	if got, err := os.ReadFile(m + "which"); err != nil || string(got) != fmt.Sprint(n-1) {
		t.Errorf("the newest layer's file: got %q, %v, want %q", got, err, fmt.Sprint(n-1))
	}
	if entries, err := os.ReadDir(m); err != nil || len(entries) != n+1 {
		t.Errorf("entries of all layers: got %d, %v, want %d", len(entries), err, n+1)
	}
	err := os.WriteFile(m+"new", nil, 0o644)
	if readOnly && !errors.Is(err, unix.EROFS) || !readOnly && err != nil {
		t.Errorf("write with readOnly=%v: %v", readOnly, err)
	}
	if _, err := os.Stat(filepath.Join(s.Lowers[0].Name(), "new")); err == nil {
		t.Error("the write went to a layer")
	}
}

func TestMountHostileNames(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		for _, name := range []string{"a:b", "a,b", `a\b`, `a\:b`, "a\nb", "a b", "upperdir=x", strings.Repeat("long", 60)} {
			t.Run(fmt.Sprintf("%q", name), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), name)
				tree.Create(t, dir, tree.New(tree.File("lower/x", "seen"), tree.Dir("upper"), tree.Dir("work")))
				s := Stack{
					Lowers: []*os.File{openDir(t, dir+"/lower")},
					Upper:  openDir(t, dir+"/upper"), Work: openDir(t, dir+"/work"),
				}
				if got, err := os.ReadFile(mountAt(t, s, w) + "x"); string(got) != "seen" {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
	})
}

func TestMountVolatile(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		for _, volatile := range []bool{false, true} {
			s := newStack(t, 1)
			s.Volatile = volatile
			mountAt(t, s, w)
			_, err := os.Stat(filepath.Join(s.Work.Name(), "work/incompat/volatile"))
			if got := err == nil; got != volatile {
				t.Errorf("volatile %v: the workdir says %v", volatile, got)
			}
		}
	})
}

func TestMountUserXattr(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		eachMarks(t, func(t *testing.T, m Marks) {
			s := newStack(t, 1)
			tree.Create(t, s.Lowers[0].Name(), tree.New(tree.File("dir/x", "")))
			s.UserXattr = m.UserXattr
			root := mountAt(t, s, w)
			if err := errors.Join(os.RemoveAll(root+"dir"), os.Mkdir(root+"dir", 0o755)); err != nil {
				t.Fatal(err)
			}
			if opaque, err := m.Opaque(int(s.Upper.Fd()), "dir"); err != nil || !opaque {
				t.Errorf("%+v: made again, opaque is %v, %v", m, opaque, err)
			}
		})
	})
}

func eachMarks(t *testing.T, suite func(t *testing.T, m Marks)) {
	for _, m := range []Marks{{UserXattr: false}, {UserXattr: true}} {
		t.Run(m.attr(""), func(t *testing.T) {
			needMarks(t, m, t.TempDir())
			suite(t, m)
		})
	}
}

// A snapshot's newest layer was an upperdir once, so it must not matter that
// the marks of its time as one are still in it.
func TestMountSealedUpper(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := newStack(t, 2)
		s.UserXattr = os.Getenv(rootlessEnv) != ""
		root := mountAt(t, s, w)
		if err := errors.Join(os.Remove(root+"own0"), os.WriteFile(root+"which", []byte("sealed"), 0o644)); err != nil {
			t.Fatal(err)
		}
		s.Lowers = append(s.Lowers, s.Upper)
		s.Upper, s.Work = makeDir(t, filepath.Join(t.TempDir(), "upper")), nil
		s.Work = makeDir(t, filepath.Join(filepath.Dir(s.Upper.Name()), "work"))
		root = mountAt(t, s, w)
		if got, err := os.ReadFile(root + "which"); string(got) != "sealed" {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := os.Stat(root + "own0"); !os.IsNotExist(err) {
			t.Errorf("a file removed below: %v", err)
		}
	})
}

func TestMountRefused(t *testing.T) {
	needMount(t)
	many := newStack(t, 1)
	for len(many.Lowers) <= MaxLowers {
		many.Lowers = append(many.Lowers, many.Lowers[0])
	}
	half, file, none := newStack(t, 1), newStack(t, 1), newStack(t, 1)
	half.Work = nil
	f, err := os.Open(filepath.Join(file.Lowers[0].Name(), "which"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file.Lowers[0] = f
	none.Lowers, none.Upper, none.Work = nil, nil, nil
	for _, c := range []struct {
		name  string
		stack Stack
		want  string
	}{
		{"too many", many, "mount overlay: 501 layers: the kernel stacks at most 500"},
		{"no workdir", half, "mount overlay: an upperdir needs a workdir and the other way round"},
		{"nothing", none, "mount overlay: 0 layers: at least 2 are needed"},
		{"a file", file, "mount overlay: read opaque mark " + f.Name() + "/.: not a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.stack.Mount()
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %v…", err, c.want)
			}
		})
	}
}

// The message has the call, the kernel's words and the options, and the errno
// can be found in it.
func TestMountErrorSaysWhy(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := newStack(t, 1)
		s.Work = makeDir(t, filepath.Join(s.Upper.Name(), "inside"))
		_, err := s.mountBy(w)
		var e *mount.Error
		if !errors.As(err, &e) || !errors.Is(err, unix.EINVAL) {
			t.Fatalf("a workdir inside the upperdir: %#v", err)
		}
		words := []string{"mount overlay: ", e.Call + ": invalid argument", "lowerdir", "workdir=", "index=off"}
		if kmsg, err := os.Open("/dev/kmsg"); err == nil {
			kmsg.Close()
			words = append(words, "workdir and upperdir must be separate subtrees")
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q is missing in: %v", word, err)
			}
		}
	})
}

const holdEnv = "STRATA_TEST_HOLD_MOUNT"

const rootlessEnv = "STRATA_TEST_ROOTLESS"

// TestRootless runs the tests of mounting, and those with user.overlay marks, in
// a user namespace.
func TestRootless(t *testing.T) {
	if os.Getenv(rootlessEnv) != "" {
		t.Skip("this is the inner one")
	}
	cmd := exec.Command("/proc/self/exe", "-test.v",
		"-test.run=^(TestMount.*|TestKilledHolder|TestMayHoldWhiteouts|TestNormalise|TestChangesUserXattr)$")
	cmd.Env = append(os.Environ(), rootlessEnv+"=1")
	ids := []syscall.SysProcIDMap{{Size: 1 << 16}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS, UidMappings: ids, GidMappings: ids,
		GidMappingsEnableSetgroups: true,
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
		t.Skipf("cannot make a user namespace: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestNormalise/rm_-r_(userxattr)") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestHoldMount is not a test: it is the process that TestKilledHolder kills.
func TestHoldMount(t *testing.T) {
	dir, ok := os.LookupEnv(holdEnv)
	if !ok {
		t.Skip("only for TestKilledHolder")
	}
	way := ways[dir[0]-'0'].way
	dir = dir[1:]
	s := Stack{Lowers: []*os.File{openDir(t, dir)}, Upper: makeDir(t, dir+"/u"), Work: makeDir(t, dir+"/w")}
	m, err := s.mountBy(way)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	fmt.Println("mounted")
	select {}
}

// A killed process leaves nothing: no line in the mount table, and no hold on
// the filesystem of the layers.
func TestKilledHolder(t *testing.T) {
	for i, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			needMount(t, w.way)
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
				t.Skipf("cannot mount tmpfs: %v", err)
			}
			defer unix.Unmount(dir, unix.MNT_DETACH)
			makeDir(t, dir+"/layers").Close()
			before := mountTable(t)
			hold(t, fmt.Sprint(i, dir, "/layers"))
			if after := mountTable(t); after != before {
				t.Errorf("mount table before:\n%s\nafter:\n%s", before, after)
			}
			if err := unmountSoon(dir); err != nil {
				t.Errorf("the layers' filesystem is still held: %v", err)
			}
		})
	}
}

// hold runs a process that mounts, looks at the mount table and kills it.
func hold(t *testing.T, where string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestHoldMount$", "-test.v")
	cmd.Env = append(os.Environ(), holdEnv+"="+where)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	before := mountTable(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said string
	for buf := make([]byte, 256); !strings.Contains(said, "mounted\n"); {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("the holder ended: %v after %q", err, said)
		}
		said += string(buf[:n])
	}
	if during := mountTable(t); during != before {
		t.Errorf("the mount is seen: before\n%s\nduring\n%s", before, during)
	}
	cmd.Process.Kill()
	cmd.Wait()
}

func mountTable(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	var overlays []string // others of this machine may come and go
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "overlay") {
			overlays = append(overlays, line)
		}
	}
	return strings.Join(overlays, "")
}

// unmountSoon allows for the kernel ending a dead process's mounts on a worker
// of its own, but not for more than that.
func unmountSoon(dir string) (err error) {
	for range 100_000 {
		if err = unix.Unmount(dir, unix.UMOUNT_NOFOLLOW); err != unix.EBUSY {
			return err
		}
		runtime.Gosched()
	}
	return err
}
