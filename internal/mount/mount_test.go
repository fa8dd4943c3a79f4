// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func newTmpfs(t *testing.T, options ...Option) *os.File {
	t.Helper()
	m, err := New("tmpfs", options, 0)
	if errors.Is(err, unix.EPERM) {
		t.Skipf("cannot mount here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func at(m *os.File, name string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", m.Fd(), name) }

func TestNewIsDetached(t *testing.T) {
	m := newTmpfs(t, Option{Key: "source", Value: "strata-mount-test"}, Option{Key: "mode", Value: "0700"})
	if err := os.WriteFile(at(m, "x"), []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(at(m, "")); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode option: got %v, %v", st, err)
	}
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(table), "strata-mount-test") {
		t.Errorf("in the mount table, or %v", err)
	}
}

func TestNewOptional(t *testing.T) {
	newTmpfs(t, Option{Key: "no_such_option", Optional: true})
	_, err := New("tmpfs", []Option{{Key: "no_such_option"}}, 0)
	var e *Error
	if !errors.As(err, &e) || e.Call != "fsconfig no_such_option" || !errors.Is(err, unix.EINVAL) {
		t.Fatalf("got %v", err)
	}
	if want := "Unknown parameter 'no_such_option'"; !strings.Contains(e.Log, want) {
		t.Errorf("the kernel's words: got %q, want %q", e.Log, want)
	}
}

func TestNewUnknownFilesystem(t *testing.T) {
	_, err := New("no_such_fs", nil, 0)
	if !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v, want %v", err, unix.ENODEV)
	}
}

func TestErrorKeepsOptionsShort(t *testing.T) {
	var options []Option
	for i := range 500 {
		options = append(options, Option{Key: "lowerdir+", Value: fmt.Sprint(i)})
	}
	options = append(options, Option{Key: "volatile"})
	err := &Error{Call: "fsconfig create", FSType: "overlay", Options: options, Log: "overlay: words", Err: unix.EINVAL}
	want := "mount overlay: fsconfig create: invalid argument: overlay: words " +
		"(options lowerdir+=0,lowerdir+=1,lowerdir+=2,497 more lowerdir+,volatile)"
	if got := err.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAttachDetach(t *testing.T) {
	m := newTmpfs(t)
	dir := t.TempDir()
	target, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	wantMountPoint(t, dir, false)
	if err := Attach(m, target); err != nil {
		t.Fatal(err)
	}
	wantMountPoint(t, dir, true)
	if err := Detach(dir); err != nil {
		t.Fatal(err)
	}
	wantMountPoint(t, dir, false)
	if err := Detach(dir); !errors.Is(err, unix.EINVAL) {
		t.Errorf("detach what is no mount point: got %v, want %v", err, unix.EINVAL)
	}
}

func wantMountPoint(t *testing.T, path string, want bool) {
	t.Helper()
	if got, err := IsMountPoint(path); err != nil || got != want {
		t.Errorf("IsMountPoint(%s): got %v, %v, want %v", path, got, err, want)
	}
}

// A bind of a directory onto itself has the same device as its parent.
func TestIsMountPointBind(t *testing.T) {
	newTmpfs(t) // for the privilege
	dir := t.TempDir()
	clone, err := Clone(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer clone.Close()
	if err := AttachAt(clone, dir); err != nil {
		t.Fatal(err)
	}
	defer Detach(dir)
	wantMountPoint(t, dir, true)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	wantMountPoint(t, link, false)
	if err := Detach(link); !errors.Is(err, unix.EINVAL) {
		t.Errorf("detach through a link: got %v, want %v", err, unix.EINVAL)
	}
}

func TestCloneOfFile(t *testing.T) {
	newTmpfs(t)                                // mounting is possible
	file := filepath.Join(t.TempDir(), "file") // of an attached mount: detached ones can be cloned since Linux 6.15
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	clone, err := Clone(file, false)
	if err != nil {
		t.Fatal(err)
	}
	defer clone.Close()
	if err := SetAttr(clone, unix.MOUNT_ATTR_RDONLY, 0, false); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimSuffix(at(clone, ""), "/")
	if err := os.WriteFile(path, nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("write to a read-only clone: got %v, want %v", err, unix.EROFS)
	}
	if err := SetAttr(clone, 0, unix.MOUNT_ATTR_RDONLY, true); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("y"), 0o600); err != nil {
		t.Error(err)
	}
}

func TestErrorsNameCallAndPath(t *testing.T) {
	if _, err := Clone("/no/such", false); err == nil || err.Error() != "open_tree /no/such: no such file or directory" {
		t.Errorf("got %v", err)
	}
	if _, err := IsMountPoint("/no/such"); err == nil || err.Error() != "statx /no/such: no such file or directory" {
		t.Errorf("got %v", err)
	}
}

func TestChecks(t *testing.T) {
	if !Checks("tmpfs") {
		t.Error("tmpfs, converted in Linux 5.2, takes an option that is none")
	}
	if Checks("no-such-filesystem") {
		t.Error("a filesystem that is none checks its options")
	}
}
