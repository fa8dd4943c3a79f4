// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

func create(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFD(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "f"))
	fd := linux.FD(f.Fd())
	want := bytes.Repeat([]byte("content"), 100_000)
	if n, err := fd.Write(want); n != len(want) || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(fd)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v; want %d", len(got), err, len(want))
	}
	if n, err := fd.Read(nil); n != 0 || err != nil {
		t.Errorf("read of nothing: %d, %v; want 0 and no end", n, err)
	}
	if _, err := linux.FD(-1).Read(make([]byte, 1)); err != unix.EBADF {
		t.Errorf("read of no descriptor: %v", err)
	}
	if _, err := linux.FD(-1).Write(make([]byte, 1)); err != unix.EBADF {
		t.Errorf("write to no descriptor: %v", err)
	}
}

func TestChmodFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	f := create(t, filepath.Join(dir, "f"))
	if err := os.Symlink("f", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	handle, err := linux.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	if err := linux.Chmod(int(handle.Fd()), "f", 0o4711); err != nil {
		t.Fatal(err)
	}
	if err := linux.Chmod(int(handle.Fd()), "l", 0o777); err != unix.ELOOP {
		t.Errorf("chmod of a link: %v, want %v", err, unix.ELOOP)
	}
	if st, err := linux.Fstat(int(f.Fd())); err != nil || st.Mode&0o7777 != 0o4711 {
		t.Errorf("mode %o, %v; want 4711", st.Mode, err)
	}
}

func TestXattrsOfAnOpenFile(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "f"))
	fd := int(f.Fd())
	value := bytes.Repeat([]byte("v"), 1000) // more than the first buffer
	if err := linux.Fsetxattr(fd, "user.a", value); err == unix.ENOTSUP {
		t.Skip("needs user attributes on the filesystem of temporary files")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := linux.Fsetxattr(fd, "user.empty", nil); err != nil {
		t.Fatal(err)
	}
	for i := range 40 { // names of more than the first buffer
		if err := linux.Fsetxattr(fd, "user.long-long-long-name"+string(rune('A'+i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := linux.Fgetxattr(fd, "user.a"); err != nil || !bytes.Equal(got, value) {
		t.Errorf("user.a is %d bytes, %v", len(got), err)
	}
	if got, err := linux.Fgetxattr(fd, "user.empty"); err != nil || len(got) != 0 {
		t.Errorf("user.empty is %q, %v", got, err)
	}
	if _, err := linux.Fgetxattr(fd, "user.none"); err != unix.ENODATA {
		t.Errorf("user.none: %v, want %v", err, unix.ENODATA)
	}
	names, err := linux.Flistxattr(fd)
	if err != nil || len(names) < 42 || !slices.Contains(names, "user.a") || !slices.Contains(names, "user.empty") {
		t.Errorf("names %q, %v", names, err)
	}
}
