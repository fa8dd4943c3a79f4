// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/store"
)

func trash(t testing.TB, s *store.Store, path string) {
	t.Helper()
	if err := s.Trash(openDir(t, filepath.Dir(path)), filepath.Base(path)); err != nil {
		t.Fatal(err)
	}
}

func TestReap(t *testing.T) {
	s := newStore(t)
	box := t.TempDir()
	for _, d := range []string{"a/b/c", "a/closed", "a/odd", "empty"} {
		want(t, "mkdir", os.MkdirAll(filepath.Join(box, d), 0o755), nil)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	err := errors.Join(
		os.WriteFile(outside, []byte("x"), 0o600),
		os.Symlink(filepath.Dir(outside), box+"/a/link"),
		os.WriteFile(box+"/a/closed/file", nil, 0o000),
		os.WriteFile(box+"/a/\xff\nname", nil, 0o400),
		unix.Mkfifo(box+"/a/fifo", 0o600),
		os.Chmod(box+"/a/closed", 0o000),
		os.Chmod(box+"/a/odd", 0o7000),
		os.WriteFile(box+"/file", nil, 0o600),
	)
	want(t, "make", err, nil)
	for _, name := range []string{"a", "empty", "file"} {
		trash(t, s, filepath.Join(box, name))
	}
	want(t, "box", entries(t, box), "[]")
	got, err := s.Reap(context.Background())
	want(t, "reaped", fmt.Sprint(got, err), "{11} <nil>")
	want(t, "trash", entries(t, s.Path()+"/trash"), "[]")
	_, err = os.Stat(outside)
	want(t, "outside", err, nil)
}

// fewFiles lowers the number of files that may be open until the test ends.
func fewFiles(t testing.TB, n uint64) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &old) })
}

// A directory deeper than any path can be, and than files can be open, as a
// container can make one.
func TestReapDeepTree(t *testing.T) {
	s := newStore(t)
	fewFiles(t, 512)
	box := t.TempDir()
	dir := openDir(t, box)
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	const depth = 1000
	for range depth {
		if err := unix.Mkdirat(fd, "directory", 0o755); err != nil {
			t.Fatal(err)
		}
		sub, err := linux.OpenAt(fd, "directory", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		unix.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
		fd = sub
	}
	unix.Close(fd)
	trash(t, s, box+"/directory")
	got, err := s.Reap(context.Background())
	want(t, "reaped", fmt.Sprint(got, err), fmt.Sprintf("{%d} <nil>", depth))
	want(t, "trash", entries(t, s.Path()+"/trash"), "[]")
}

func TestReapReportsAndGoesOn(t *testing.T) {
	s := newStore(t)
	box := t.TempDir()
	const immutable = 0x10 // FS_IMMUTABLE_FL (linux/fs.h)
	fixed := box + "/a/fixed"
	want(t, "make", errors.Join(os.Mkdir(box+"/a", 0o755), os.WriteFile(fixed, nil, 0o600), os.WriteFile(box+"/a/other", nil, 0o600)), nil)
	f, err := os.Open(fixed)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, immutable); err != nil {
		t.Skip("needs a filesystem and the privilege for immutable files: ", err)
	}
	trash(t, s, box+"/a")
	got, err := s.Reap(context.Background())
	want(t, "reaped", got.Entries, 1)
	wantError(t, err, "unlink "+s.Path()+"/trash/", "/fixed: operation not permitted", "rmdir ", "directory not empty")
	want(t, "flags", unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0), nil)
	got, err = s.Reap(context.Background())
	want(t, "reaped", fmt.Sprint(got, err), "{2} <nil>")
}

// A mount that somebody forgot in an upperdir is not emptied.
func TestReapLeavesMountsAlone(t *testing.T) {
	s := newStore(t)
	box, precious := t.TempDir(), t.TempDir()
	want(t, "make", errors.Join(os.MkdirAll(box+"/a/mnt", 0o755), os.WriteFile(precious+"/file", nil, 0o600)), nil)
	trash(t, s, box+"/a")
	target := s.Path() + "/trash/" + entries(t, s.Path()+"/trash")[0] + "/mnt"
	if err := unix.Mount(precious, target, "", unix.MS_BIND, ""); err != nil { // of the same filesystem: st_dev tells nothing
		t.Skip("needs the privilege to mount: ", err)
	}
	defer unix.Unmount(target, unix.MNT_DETACH)
	_, err := s.Reap(context.Background())
	wantError(t, err, "open "+target+": something is mounted here")
	want(t, "precious", entries(t, precious), "[file]")
	want(t, "unmount", unix.Unmount(target, unix.MNT_DETACH), nil)
	_, err = s.Reap(context.Background())
	want(t, "reap", err, nil)
	want(t, "trash", entries(t, s.Path()+"/trash"), "[]")
}

func TestOneReaperAtATime(t *testing.T) {
	s := newStore(t)
	box := t.TempDir()
	want(t, "make", os.Mkdir(box+"/a", 0o755), nil)
	trash(t, s, box+"/a")
	dir, err := os.Open(s.Path() + "/trash")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := durable.Share(dir) // even a shared lock keeps a reaper out
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Reap(context.Background())
	want(t, "beside another", fmt.Sprint(got, err), "{0} <nil>")
	want(t, "close", lock.Close(), nil)
	got, err = s.Reap(context.Background())
	want(t, "alone", fmt.Sprint(got, err), "{1} <nil>")
}

func TestReapStops(t *testing.T) {
	s := newStore(t)
	box := t.TempDir()
	want(t, "make", os.MkdirAll(box+"/a/b", 0o755), nil)
	trash(t, s, box+"/a")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	got, err := s.Reap(ctx)
	want(t, "cancelled", fmt.Sprint(got, err), "{0} <nil>")
	got, err = s.Reap(context.Background())
	want(t, "then", fmt.Sprint(got, err), "{2} <nil>")
}

func TestTrashOfNothing(t *testing.T) {
	s := newStore(t)
	err := s.Trash(openDir(t, t.TempDir()), "nothing")
	want(t, "is not exist", errors.Is(err, os.ErrNotExist), true)
}

// TestReapLeavesWhatIsRead checks that a tree that somebody has locked stays
// until he is done, with all that is beside it, and that the rest goes.
func TestReapLeavesWhatIsRead(t *testing.T) {
	s := newStore(t)
	box := t.TempDir()
	for _, d := range []string{"read/tree/a", "read/implied/x", "unread/tree/a"} {
		want(t, "mkdir", os.MkdirAll(filepath.Join(box, d), 0o755), nil)
	}
	lock, err := durable.Share(openDir(t, box+"/read/tree"))
	want(t, "lock", err, nil)
	trash(t, s, box+"/read")
	trash(t, s, box+"/unread")
	got, err := s.ReapAll(context.Background())
	want(t, "reaped", fmt.Sprint(got, err), "{3} <nil>")
	kept, err := filepath.Glob(s.Path() + "/trash/*/*/*")
	want(t, "kept", fmt.Sprint(len(kept), err), "2 <nil>")
	want(t, "unlock", lock.Close(), nil)
	got, err = s.ReapAll(context.Background())
	want(t, "reaped", fmt.Sprint(got, err), "{5} <nil>")
	want(t, "trash", entries(t, s.Path()+"/trash"), "[]")
}
