// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/disk"
	"strata/internal/store"
)

const smallDisk = "16M"

// smallFilesystems are ways to have a filesystem that is soon full.
var smallFilesystems = map[string]func(t *testing.T) (dir string){
	"tmpfs": func(t *testing.T) string {
		dir := t.TempDir()
		if err := unix.Mount("none", dir, "tmpfs", 0, "size="+smallDisk); err != nil {
			t.Skip("needs the privilege to mount: ", err)
		}
		t.Cleanup(func() { want(t, "unmount", unix.Unmount(dir, unix.MNT_DETACH), nil) })
		return dir
	},
	"ext4": func(t *testing.T) string { return disk.New(t, smallDisk).Dir },
}

func free(t testing.TB, path string) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

func TestFullDisk(t *testing.T) {
	for name, mount := range smallFilesystems {
		t.Run(name, func(t *testing.T) {
			dir := mount(t)
			s := openStore(t, dir+"/store")
			defer s.Close()
			small := add(t, s, entry{"small", "x"})
			fullApply(t, s)
			fullSeal(t, s, dir)
			want(t, "verify", s.Verify(context.Background(), small.DiffID), nil)
			layers, err := s.Layers()
			want(t, "layers", layers, []store.Layer{small})
			want(t, "error", err, nil)
			clean(t, s)
		})
	}
}

func fullApply(t *testing.T, s *store.Store) {
	before := free(t, s.Path())
	data := archive(t, entry{"a", strings.Repeat("x", 1<<20)}, entry{"b", strings.Repeat("y", 20<<20)})
	_, err := s.AddLayer(context.Background(), strings.NewReader(string(data)), store.ApplyOptions{})
	want(t, "no space", errors.Is(err, unix.ENOSPC), true)
	wantError(t, err, "apply layer: ", "b")
	clean(t, s)
	if lost := before - free(t, s.Path()); lost > 1<<20 {
		t.Errorf("%d bytes were not given back", lost)
	}
}

// fullSeal seals an upperdir when there is no room even for its record.
func fullSeal(t *testing.T, s *store.Store, dir string) {
	want(t, "mkdir", os.Mkdir(dir+"/upper", 0o755), nil)
	want(t, "write", os.WriteFile(dir+"/upper/file", []byte("x"), 0o600), nil)
	fill, err := os.Create(dir + "/fill")
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	for size := 1 << 20; size > 0; { // fill the disk to the last byte
		if _, err := fill.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	before := inodesOf(t, dir+"/upper")
	_, err = s.Seal(context.Background(), openDir(t, dir), "upper", store.SealOptions{})
	want(t, "no space", errors.Is(err, unix.ENOSPC), true)
	want(t, "upperdir", inodesOf(t, dir+"/upper"), before)
	want(t, "remove", os.Remove(fill.Name()), nil)
	want(t, "layers", len(entries(t, s.Path()+"/layers")), 1)
}
