// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/overlay"
	"strata/internal/store"
)

// addHeaders adds a layer of empty entries.
func addHeaders(t testing.TB, s *store.Store, headers ...tar.Header) oci.Digest {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := s.AddLayer(context.Background(), &buf, store.ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l.DiffID
}

func dirHeader(name string, mode int64, uid int) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, Uid: uid, Gid: uid}
}

func fileHeader(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600}
}

// lowersOf opens a stack and closes it when the test ends.
func lowersOf(t testing.TB, s *store.Store, stack ...oci.Digest) []*os.File {
	t.Helper()
	lowers, err := s.Lowers(stack)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range lowers {
			f.Close()
		}
	})
	return lowers
}

// shows is what the mounted stack has for a directory: mode, owner, attribute.
func shows(t testing.TB, s *store.Store, lowers []*os.File, name string) string {
	t.Helper()
	empty, err := s.Dir("empty")
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	mounted, err := overlay.Stack{Lowers: lowers, Empty: empty, UserXattr: options().Marks.UserXattr}.Mount()
	if err != nil {
		t.Fatal(err)
	}
	defer mounted.Close()
	st, err := linux.Lstat(int(mounted.Fd()), name)
	if err != nil {
		return err.Error()
	}
	note, _ := linux.Lgetxattr(int(mounted.Fd()), name, "user.note")
	return fmt.Sprintf("%04o %d %s", st.Mode&0o7777, st.Uid, note)
}

// needMount skips a test where overlays cannot be mounted, and checks that
// stacks can be opened all the same.
func needMount(t testing.TB) {
	t.Helper()
	dir := openDir(t, t.TempDir())
	mounted, err := overlay.Stack{Lowers: []*os.File{dir}, Empty: openDir(t, t.TempDir()), UserXattr: options().Marks.UserXattr}.Mount()
	if err == nil {
		mounted.Close()
		if options().Unprivileged {
			t.Skip("needs the privilege to change owners")
		}
		return
	}
	s := newStore(t)
	base, top := add(t, s, entry{"a", "x"}), add(t, s, entry{"dir/b", "x"})
	want(t, "opened", len(lowersOf(t, s, base.DiffID, top.DiffID)), 2)
	t.Skip("needs the privilege to mount: ", err)
}

func TestImpliedDirectories(t *testing.T) {
	needMount(t)
	noted := dirHeader("srv", 0o2770, 7)
	noted.PAXRecords = map[string]string{"SCHILY.xattr.user.note": "hi"}
	base := []tar.Header{dirHeader("./", 0o750, 3), dirHeader("tmp", 0o1777, 0), noted, dirHeader("srv/sub", 0o700, 8), dirHeader("usr", 0o755, 0), fileHeader("file")}
	for name, c := range map[string]struct {
		layers [][]tar.Header // above the base
		opened int
		want   map[string]string
	}{
		"a file beneath": {[][]tar.Header{{fileHeader("tmp/x")}}, 3, map[string]string{".": "0750 3 ", "tmp": "1777 0 ", "srv": "2770 7 hi"}},
		"deep":           {[][]tar.Header{{fileHeader("srv/sub/x")}}, 3, map[string]string{"srv": "2770 7 hi", "srv/sub": "0700 8 "}},
		"between": {[][]tar.Header{{dirHeader("./", 0o711, 0), dirHeader("srv", 0o701, 1), fileHeader("srv/sub/x")}}, 3,
			map[string]string{".": "0711 0 ", "srv": "0701 1 ", "srv/sub": "0700 8 "}},
		"twice":     {[][]tar.Header{{fileHeader("tmp/x")}, {fileHeader("tmp/y")}}, 5, map[string]string{"tmp": "1777 0 ", ".": "0750 3 "}},
		"all said":  {[][]tar.Header{{dirHeader("./", 0o700, 0), dirHeader("tmp", 0o711, 0), fileHeader("tmp/x")}}, 2, map[string]string{"tmp": "0711 0 "}},
		"the usual": {[][]tar.Header{{dirHeader("./", 0o700, 0), fileHeader("usr/x"), fileHeader("new/x")}}, 2, map[string]string{"usr": "0755 0 ", "new": "0755 0 "}},
		"opaque": {[][]tar.Header{{dirHeader("./", 0o700, 0), dirHeader("srv", 0o711, 0), fileHeader("srv/.wh..wh..opq"), fileHeader("srv/sub/x")}}, 2,
			map[string]string{"srv": "0711 0 ", "srv/sub": "0755 0 "}},
		"gone": {[][]tar.Header{{dirHeader("./", 0o700, 0), fileHeader(".wh.srv")}, {dirHeader("./", 0o700, 0), fileHeader("srv/x")}}, 3,
			map[string]string{"srv": "0755 0 "}},
		"over a file": {[][]tar.Header{{dirHeader("./", 0o700, 0), fileHeader("file/x")}}, 2, map[string]string{"file": "0755 0 "}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			stack := []oci.Digest{addHeaders(t, s, base...)}
			for _, headers := range c.layers {
				stack = append(stack, addHeaders(t, s, headers...))
			}
			for _, round := range []string{"first", "again"} {
				lowers := lowersOf(t, s, stack...)
				want(t, round+": opened", len(lowers), c.opened)
				for path, wanted := range c.want {
					want(t, round+": "+path, shows(t, s, lowers, path), wanted)
				}
			}
			for _, id := range stack {
				want(t, "verify", s.Verify(context.Background(), id), nil)
			}
			clean(t, s)
		})
	}
}

// One layer in two stacks has in each what that one says, whichever was first.
func TestImpliedDirectoriesDependOnTheStack(t *testing.T) {
	needMount(t)
	s := newStore(t)
	root := dirHeader("./", 0o755, 0)
	open, closed := addHeaders(t, s, root, dirHeader("tmp", 0o1777, 0)), addHeaders(t, s, root, dirHeader("tmp", 0o700, 0))
	usual, top := addHeaders(t, s, root, dirHeader("tmp", 0o755, 0)), addHeaders(t, s, fileHeader("tmp/x"))
	for range 2 {
		for base, wanted := range map[oci.Digest]string{open: "1777 0 ", closed: "0700 0 ", usual: "0755 0 "} {
			want(t, "tmp", shows(t, s, lowersOf(t, s, base, top), "tmp"), wanted)
		}
	}
	want(t, "as the only layer", shows(t, s, lowersOf(t, s, top), "tmp"), "0755 0 ")
}

func TestLowersOfAMissingLayer(t *testing.T) {
	s := newStore(t)
	l := add(t, s, entry{"a", "x"})
	_, err := s.Lowers([]oci.Digest{l.DiffID, oci.FromBytes(nil)})
	want(t, "is not exist", errors.Is(err, os.ErrNotExist), true)
	wantError(t, err, "layer "+string(oci.FromBytes(nil))+": not in the store")
}

func FuzzImpliedRecord(f *testing.F) {
	s := newStore(f)
	base, top := addHeaders(f, s, dirHeader("tmp", 0o1777, 0)), addHeaders(f, s, fileHeader("tmp/x"))
	dir := s.Path() + "/layers/" + top.Hex()
	good, err := os.ReadFile(dir + "/implied.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(good), "", "null", `{"version":2}`, `{"version":1,"directories":["Li4vLi4vZXRj"]}`, // ../../etc
		`{"version":1,"directories":["L2V0Yw=="]}`, `{"version":1,"directories":["bm9uZQ=="]}`, `{"version":1,"directories":["!"]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := errors.Join(os.WriteFile(dir+"/implied.json", data, 0o600), os.RemoveAll(dir+"/implied"), os.Mkdir(dir+"/implied", 0o700)); err != nil {
			t.Fatal(err)
		}
		lowers, err := s.Lowers([]oci.Digest{base, top})
		if err != nil && !strings.HasPrefix(err.Error(), "layer "+string(top)+": complete it over the layers beneath: ") {
			t.Errorf("%q: %v", data, err)
		}
		for _, f := range lowers {
			f.Close()
		}
	})
}

func BenchmarkLowers(b *testing.B) {
	s := newStore(b)
	var stack []oci.Digest
	for i := range 14 {
		stack = append(stack, add(b, s, entry{fmt.Sprint("file", i), "x"}).DiffID)
	}
	for b.Loop() {
		lowers, err := s.Lowers(stack)
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range lowers {
			f.Close()
		}
	}
}
