// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/overlay"
	"strata/internal/store"
)

// entry is an entry of an archive that a test makes.
type entry struct{ name, content string }

// pack makes an uncompressed archive of regular files, and of directories whose
// names end in a slash.
func pack(entries ...entry) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.content)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return buf.Bytes(), err
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	data, err := pack(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// options are those that the engine chooses: without privilege for the store of
// an ordinary user.
func options() store.Options {
	ids, _ := os.ReadFile("/proc/self/uid_map")
	ordinary := os.Geteuid() != 0 || !strings.Contains(string(ids), "4294967295") // user_namespaces(7)
	return store.Options{Unprivileged: ordinary, UserNamespace: ordinary, Marks: overlay.Marks{UserXattr: ordinary}}
}

// otherMarks is the format of a store whose marks options cannot read.
func otherMarks() []byte {
	if options().Marks.UserXattr {
		return []byte(`{"format":1}`)
	}
	return []byte(`{"format":1,"marks":"user"}`)
}

func openStore(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(path, options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newStore(t testing.TB) *store.Store {
	t.Helper()
	return openStore(t, filepath.Join(t.TempDir(), "store"))
}

func add(t testing.TB, s *store.Store, entries ...entry) store.Layer {
	t.Helper()
	l, err := s.AddLayer(context.Background(), bytes.NewReader(archive(t, entries...)), store.ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func openDir(t testing.TB, path string) *os.File {
	t.Helper()
	dir, err := linux.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir
}

func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func entries(t testing.TB, path string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// clean checks that nothing half-done is left in the store.
func clean(t testing.TB, s *store.Store) {
	t.Helper()
	want(t, "staging", entries(t, s.Path()+"/staging"), "[]")
	want(t, "trash", entries(t, s.Path()+"/trash"), "[]")
}

func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want one with %q", err, part)
		}
	}
}

func TestOpenMakesAStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a/b/store")
	s := openStore(t, path)
	want(t, "entries", entries(t, path), "[containers empty format.json images layers mounts names staging trash]")
	data, _ := os.ReadFile(path + "/format.json")
	want(t, "format", string(data), `{"format":1}`)
	st, err := linux.Lstat(unix.AT_FDCWD, path)
	want(t, "mode", fmt.Sprintf("%o %v", st.Mode, err), "40700 <nil>")
	images, err := s.Dir("images")
	if err != nil {
		t.Fatal(err)
	}
	images.Close()
	openStore(t, path) // again
}

// A store whose making was killed is finished by the next who opens it.
func TestOpenFinishesAStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	if err := os.MkdirAll(path+"/layers", 0o700); err != nil {
		t.Fatal(err)
	}
	want(t, "chmod", os.Chmod(path, 0o700), nil)
	want(t, "temporary", os.WriteFile(path+"/.tmp-0123456789abcdef", nil, 0o600), nil)
	s := openStore(t, path)
	add(t, s, entry{"a", "x"})
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(path string) error
		want  string
	}{
		"newer format":   {func(p string) error { return os.WriteFile(p+"/format.json", []byte(`{"format":2}`), 0o600) }, "format 2 is newer than this program, which knows 1; nothing was changed"},
		"no format":      {func(p string) error { return os.WriteFile(p+"/format.json", []byte(`{}`), 0o600) }, "read format.json: format 0 is unknown"},
		"empty format":   {func(p string) error { return os.WriteFile(p+"/format.json", nil, 0o600) }, "read format.json: unexpected end"},
		"mode":           {func(p string) error { return os.Chmod(p, 0o711) }, "its mode is 0711 and not 0700"},
		"group":          {func(p string) error { return os.Chmod(p, 0o750) }, "CVE-2021-41091"},
		"marks":          {func(p string) error { return os.WriteFile(p+"/format.json", otherMarks(), 0o600) }, "name another store with --root"},
		"unknown marks":  {func(p string) error { return os.WriteFile(p+"/format.json", []byte(`{"format":1,"marks":"x"}`), 0o600) }, `read format.json: marks "x" are unknown`},
		"owner":          {func(p string) error { return os.Chown(p, 1, 0) }, "it belongs to user 1 and not to user 0"},
		"other contents": {func(p string) error { return errors.Join(os.Remove(p+"/format.json"), os.Mkdir(p+"/home", 0o700)) }, `it is no store and not empty: it holds "home"`},
		"a file":         {func(p string) error { return errors.Join(os.RemoveAll(p), os.WriteFile(p, nil, 0o600)) }, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			if options().Unprivileged && name == "owner" {
				t.Skip("needs the privilege to change owners")
			}
			s := newStore(t)
			if err := c.spoil(s.Path()); err != nil {
				t.Fatal(err)
			}
			before := listing(t, filepath.Dir(s.Path()))
			_, err := store.Open(s.Path(), options())
			wantError(t, err, "open store "+s.Path()+": ", c.want)
			want(t, "untouched", listing(t, filepath.Dir(s.Path())), before)
		})
	}
}

// listing is every path beneath dir with mode, size and inode.
func listing(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		st, err := linux.Lstat(unix.AT_FDCWD, path)
		fmt.Fprintln(&b, path, info.Mode(), info.Size(), st.Ino, st.Uid)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestOpenIsCheap(t *testing.T) {
	s := newStore(t)
	allocs := testing.AllocsPerRun(100, func() {
		s, err := store.Open(s.Path(), options())
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	})
	if allocs > 40 {
		t.Errorf("%v allocations to open a store", allocs)
	}
}

func BenchmarkOpen(b *testing.B) {
	s := newStore(b)
	for b.Loop() {
		s, err := store.Open(s.Path(), options())
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
