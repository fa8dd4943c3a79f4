// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"strata/internal/linux"
	"strata/internal/tree"
)

// An operation is something that a program does to a root filesystem. Many make
// no sense where they are drawn, and fail: that is part of the test.
type operation struct {
	Do   string
	Path string
	To   string // another path, a target
	N    int    // a mode, owner, time or size
}

func (o operation) String() string { return fmt.Sprintf("%s %q %q %d", o.Do, o.Path, o.To, o.N) }

// operations are all of which a path is drawn for. The order is from the
// simplest, to which a failing example shrinks.
var operations = []struct {
	name string
	do   func(p, to string, n int) error
}{
	{"write", func(p, _ string, n int) error { return write(p, fmt.Sprint(n)) }},
	{"mkdir", func(p, _ string, _ int) error { return os.Mkdir(p, 0o755) }},
	{"rm", func(p, _ string, _ int) error { return os.Remove(p) }},
	{"rm -r", func(p, _ string, _ int) error { return os.RemoveAll(p) }},
	{"mv", func(p, to string, _ int) error { return move(p, to) }},
	{"cp -a", func(p, to string, _ int) error { return copyTree(p, to) }},
	{"rm -r and mkdir", func(p, _ string, _ int) error {
		if err := os.RemoveAll(p); err != nil {
			return err
		}
		return os.Mkdir(p, 0o755)
	}},
	{"open for writing", func(p, _ string, _ int) error { return touchNothing(p) }},
	{"write the same", writeSame},
	{"remove and restore", func(p, to string, _ int) error { return restore(p, to) }},
	{"chmod", func(p, _ string, n int) error {
		return unix.Fchmodat(unix.AT_FDCWD, p, uint32(n), unix.AT_SYMLINK_NOFOLLOW)
	}},
	{"chown", func(p, _ string, n int) error { return os.Lchown(p, n, n+1) }},
	{"touch", func(p, _ string, n int) error { return setMtime(p, time.Unix(int64(n), 5)) }},
	{"setfattr", func(p, _ string, n int) error { return unix.Lsetxattr(p, "trusted.x", []byte(fmt.Sprint(n)), 0) }},
	{"setfattr nested", func(p, _ string, _ int) error { return unix.Lsetxattr(p, "trusted.overlay.opaque", []byte("y"), 0) }},
	{"removexattr", func(p, _ string, _ int) error { return unix.Lremovexattr(p, "trusted.x") }},
	{"truncate", truncate},
	{"ln", func(p, to string, _ int) error { return os.Link(p, to) }},
	{"ln -s", func(p, to string, _ int) error { return os.Symlink(path.Base(to), p) }},
	{"mkfifo", func(p, _ string, _ int) error { return unix.Mkfifo(p, 0o644) }},
	{"mknod", func(p, _ string, n int) error { return unix.Mknod(p, unix.S_IFCHR|0o600, n+1) }},
}

// run does the operation beneath root, and nowhere else: a link in the tree may
// point to a path of this machine, so parents are opened without following any,
// and no operation follows the last component.
func (o operation) run(root *os.File) error {
	if strings.HasPrefix(o.To, o.Path+"/") { // a copy into itself
		return fs.ErrInvalid
	}
	from, p, err := beneath(root, o.Path)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	into, to, err := beneath(root, o.To)
	if err != nil {
		return err
	}
	defer unix.Close(into)
	for _, known := range operations {
		if known.name == o.Do {
			return known.do(p, to, o.N)
		}
	}
	return fmt.Errorf("unknown operation %s", o.Do)
}

func beneath(root *os.File, name string) (dir int, p string, err error) {
	dir, err = linux.OpenBeneath(int(root.Fd()), path.Dir(name), unix.O_DIRECTORY, 0)
	return dir, fmt.Sprintf("/proc/self/fd/%d/%s", dir, path.Base(name)), err
}

// drawOperation prefers paths that are there, so that most operations do something.
func drawOperation(t *rapid.T, root *os.File) operation {
	paths := tree.Read(t, procPath(root)).Paths()
	draw := func(label string) string {
		there := rapid.SampledFrom(append([]string{"a"}, paths...)).Draw(t, label)
		switch rapid.IntRange(0, 3).Draw(t, label+" how") {
		case 0:
			return path.Join(path.Dir(there), rapid.SampledFrom(names).Draw(t, label+" name"))
		case 1:
			return path.Join(there, rapid.SampledFrom(names).Draw(t, label+" name"))
		}
		return there
	}
	return operation{
		Do:   operations[rapid.IntRange(0, len(operations)-1).Draw(t, "operation")].name,
		Path: draw("path"), To: draw("to"),
		N: rapid.SampledFrom([]int{0, 0o644, 0o700, 0o4755, 3, 5000}).Draw(t, "n"),
	}
}

var names = []string{"a", "b", "c", "etc", "bin", "a.b", "a\nb", "\xff"}

// write does not wait for the reader of a pipe.
func write(p, content string) error {
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(content)
	return err
}

func truncate(p, _ string, n int) error {
	f, err := os.OpenFile(p, os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(int64(n))
}

func touchNothing(p string) error {
	f, err := os.OpenFile(p, os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// writeSame ends where it began, copied up.
func writeSame(p, _ string, n int) error {
	st, err := os.Lstat(p)
	if err != nil || !st.Mode().IsRegular() {
		return fs.ErrInvalid
	}
	old, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	if err := write(p, fmt.Sprint("other", n)); err != nil {
		return err
	}
	if err := write(p, string(old)); err != nil {
		return err
	}
	return setMtime(p, st.ModTime())
}

// restore removes p and puts an equal copy in its place, times of its parent too.
func restore(p, tmp string) error {
	dir := filepath.Dir(p) + "/."
	parent, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if err := copyTree(p, tmp+".copy"); err != nil {
		return err
	}
	if err := os.RemoveAll(p); err != nil {
		return err
	}
	if err := os.Rename(tmp+".copy", p); err != nil {
		return err
	}
	return setMtime(dir, parent.ModTime())
}

func setMtime(p string, at time.Time) error {
	ts, err := unix.TimeToTimespec(at)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// move is what mv does: a directory that a layer has cannot be renamed.
func move(p, to string) error {
	err := os.Rename(p, to)
	if link, ok := err.(*os.LinkError); !ok || link.Err != unix.EXDEV {
		return err
	}
	if err := copyTree(p, to); err != nil {
		return err
	}
	return os.RemoveAll(p)
}

func copyTree(p, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	}
	return exec.Command("cp", "-a", "--", p, to).Run()
}
