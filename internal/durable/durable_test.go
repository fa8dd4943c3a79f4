// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
)

func open(t *testing.T, path string) *os.File {
	t.Helper()
	dir, err := linux.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir
}

func names(t *testing.T, dir *os.File) (list []string) {
	t.Helper()
	entries, err := linux.ReadDir(int(dir.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name)
	}
	return list
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

var writers = map[string]func(*os.File, string, []byte, os.FileMode) error{
	"durable": durable.WriteFile, "relaxed": durable.WriteFileRelaxed,
}

func TestWriteFileReplaces(t *testing.T) {
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			dir := open(t, t.TempDir())
			for _, content := range []string{"first, the longer one", "second", ""} {
				if err := write(dir, "a", []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(filepath.Join(dir.Name(), "a"))
				want(t, "content", string(got), content)
				want(t, "error", err, nil)
			}
			st, err := linux.Lstat(int(dir.Fd()), "a")
			want(t, "error", err, nil)
			want(t, "mode", fmt.Sprintf("%o", st.Mode), "100600")
			want(t, "entries", names(t, dir), []string{"a"})
		})
	}
}

// A reader that holds the old file keeps it, and one that opens anew finds a
// whole one.
func TestWriteFileIsNeverSeenInPart(t *testing.T) {
	dir := open(t, t.TempDir())
	versions := []string{strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<15)}
	if err := durable.WriteFileRelaxed(dir, "f", []byte(versions[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	stop := make(chan struct{})
	readers.Go(func() {
		for {
			got, err := os.ReadFile(filepath.Join(dir.Name(), "f"))
			if err != nil || string(got) != versions[0] && string(got) != versions[1] {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for i := range 100 {
		if err := durable.WriteFileRelaxed(dir, "f", []byte(versions[i%2]), 0o600); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	readers.Wait()
}

func TestWriteFileThatFailsLeavesTheOldOne(t *testing.T) {
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			dir := open(t, t.TempDir())
			if err := os.Mkdir(filepath.Join(dir.Name(), "a"), 0o700); err != nil {
				t.Fatal(err)
			}
			err := write(dir, "a", []byte("x"), 0o600)
			want(t, "a file over a directory", errors.Is(err, unix.EISDIR), true)
			want(t, "entries", names(t, dir), []string{"a"})
		})
	}
}

func TestWriteFileOnAFullDisk(t *testing.T) {
	path := t.TempDir()
	if err := unix.Mount("none", path, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("needs the privilege to mount: ", err)
	}
	defer func() { want(t, "unmount", unix.Unmount(path, unix.MNT_DETACH), nil) }()
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			dir := open(t, path)
			if err := write(dir, "a", []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := write(dir, "a", make([]byte, 1<<20), 0o600)
			want(t, fmt.Sprint("no space: ", err), errors.Is(err, unix.ENOSPC), true)
			want(t, "entries", names(t, dir), []string{"a"})
			got, _ := os.ReadFile(filepath.Join(path, "a"))
			want(t, "content", string(got), "old")
		})
	}
}

func TestErrorsNameCallAndPath(t *testing.T) {
	dir := open(t, t.TempDir())
	err := durable.WriteFile(dir, "no/such", nil, 0o600)
	if err == nil || !strings.HasPrefix(err.Error(), "rename ") || !strings.Contains(err.Error(), dir.Name()+"/no/such: no such file") {
		t.Errorf("got %v", err)
	}
	want(t, "entries", names(t, dir), "[]")
}

func TestRenameNewHasOneWinner(t *testing.T) {
	root := t.TempDir()
	for _, d := range []string{"from/a", "from/b", "to"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	from, to := open(t, filepath.Join(root, "from")), open(t, filepath.Join(root, "to"))
	if err := durable.RenameNew(from, "a", to, "x"); err != nil {
		t.Fatal(err)
	}
	err := durable.RenameNew(from, "b", to, "x") // rename(2) would replace the empty directory x
	want(t, fmt.Sprint("second: ", err), errors.Is(err, os.ErrExist), true)
	want(t, "from", names(t, from), []string{"b"})
	want(t, "to", names(t, to), []string{"x"})
	err = durable.RenameNew(from, "gone", to, "y")
	want(t, fmt.Sprint("missing: ", err), errors.Is(err, os.ErrNotExist), true)
}

func TestRenameNewRace(t *testing.T) {
	root := t.TempDir()
	from, to := open(t, root), open(t, root)
	const racers = 16
	var won, lost [racers]bool
	var all sync.WaitGroup
	for i := range racers {
		name := fmt.Sprint("staged", i)
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			err := durable.RenameNew(from, name, to, "published")
			won[i], lost[i] = err == nil, errors.Is(err, os.ErrExist)
		})
	}
	all.Wait()
	winners := 0
	for i := range racers {
		if won[i] {
			winners++
		} else if !lost[i] {
			t.Errorf("racer %d neither won nor met os.ErrExist", i)
		}
	}
	want(t, "winners", winners, 1)
}

func TestSync(t *testing.T) {
	dir := open(t, t.TempDir())
	want(t, "fsync", durable.Sync(dir), nil)
	want(t, "syncfs", durable.SyncFS(dir), nil)
	dir.Close()
	if durable.Sync(dir) == nil || durable.SyncFS(dir) == nil {
		t.Error("a closed file was synced")
	}
}

func TestTemporaryNames(t *testing.T) {
	want(t, "temporary", durable.IsTemporary(".tmp-0123456789abcdef"), true)
	want(t, "final", durable.IsTemporary("layer.json"), false)
	if a, b := durable.RandomName(), durable.RandomName(); a == b || len(a) != 16 {
		t.Errorf("random names %q and %q", a, b)
	}
}
