// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// T is what the functions here need of a test; *testing.T, *testing.B, *testing.F
// and *rapid.T all are one.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Option changes how a tree is created or read.
type Option int

const (
	UserXattr  Option = iota // overlay's marks are in user.overlay.*, not in trusted.overlay.*
	AllXattrs                // Read: give overlay's own attributes too, as they stand
	WithRoot                 // Read: list the directory itself, as "."
	NoTimes                  // Read: leave modification times zero
	NoDirTimes               // Read: leave those of directories zero
	NoMarks                  // Read: give a whiteout as character device 0:0 and no directory as opaque
)

// Create makes the tree in the directory dir, which it makes when it is not
// there; modification times of directories are set last, deepest first. It ends
// the test where it cannot.
func Create(t T, dir string, tr Tree, opts ...Option) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatalf("create tree: %v", err)
	}
	for _, e := range tr {
		if err := create(dir, e, opts); err != nil {
			t.Fatalf("create %s %q in %s: %v", e.Kind, e.Path, dir, err)
		}
	}
	for _, e := range slices.Backward(tr) {
		if e.Kind == KindDir && !e.Mtime.IsZero() {
			if err := setTime(filepath.Join(dir, e.Path), e); err != nil {
				t.Fatalf("set time of %q in %s: %v", e.Path, dir, err)
			}
		}
	}
}

func create(dir string, e Entry, opts []Option) error {
	name := filepath.Join(dir, e.Path)
	if err := makeNode(dir, name, e); err != nil || e.Kind == KindHardLink || e.Kind == KindWhiteout {
		return err
	}
	if e.UID|e.GID != 0 || os.Geteuid() == 0 {
		if err := os.Lchown(name, int(e.UID), int(e.GID)); err != nil {
			return err
		}
	}
	for attr, value := range e.Xattrs {
		if err := unix.Lsetxattr(name, attr, []byte(value), 0); err != nil {
			return fmt.Errorf("xattr %s: %w", attr, err)
		}
	}
	if e.Opaque {
		if err := unix.Lsetxattr(name, opaqueAttr(opts), []byte("y"), 0); err != nil {
			return fmt.Errorf("xattr %s: %w", opaqueAttr(opts), err)
		}
	}
	if e.Kind != KindSymlink {
		if err := unix.Chmod(name, e.Mode); err != nil {
			return err
		}
	}
	return setTime(name, e)
}

func makeNode(dir, name string, e Entry) error {
	switch e.Kind {
	case KindFile:
		return os.WriteFile(name, []byte(e.Content), 0o600)
	case KindDir:
		if err := os.Mkdir(name, 0o700); !os.IsExist(err) {
			return err
		}
		return nil
	case KindSymlink:
		return os.Symlink(e.Target, name)
	case KindHardLink:
		return unix.Linkat(unix.AT_FDCWD, filepath.Join(dir, e.Target), unix.AT_FDCWD, name, 0)
	case KindFifo:
		return unix.Mknod(name, unix.S_IFIFO|0o600, 0)
	case KindSocket:
		return unix.Mknod(name, unix.S_IFSOCK|0o600, 0)
	case KindChar:
		return unix.Mknod(name, unix.S_IFCHR|0o600, int(unix.Mkdev(e.Major, e.Minor)))
	case KindBlock:
		return unix.Mknod(name, unix.S_IFBLK|0o600, int(unix.Mkdev(e.Major, e.Minor)))
	case KindWhiteout:
		return unix.Mknod(name, unix.S_IFCHR, 0)
	}
	return fmt.Errorf("unknown kind %q", e.Kind)
}

func setTime(name string, e Entry) error {
	if e.Mtime.IsZero() {
		return nil
	}
	ts, err := unix.TimeToTimespec(e.Mtime)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

func opaqueAttr(opts []Option) string {
	if slices.Contains(opts, UserXattr) {
		return "user.overlay.opaque"
	}
	return "trusted.overlay.opaque"
}
