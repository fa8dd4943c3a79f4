// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/store"
)

// newUpper makes a directory with an upperdir called upper, and returns it and
// the inodes of what is in the upperdir.
func newUpper(t testing.TB, content string) (box string, inodes map[string]uint64) {
	t.Helper()
	box = t.TempDir()
	for name, data := range map[string]string{"etc/profile": content, "etc/passwd": "root", "big": strings.Repeat(content, 10_000)} {
		path := filepath.Join(box, "upper", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(data), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.Walk(box+"/upper", func(path string, _ os.FileInfo, err error) error {
		mtime := time.Unix(1_600_000_000, 0)
		return errors.Join(err, os.Chtimes(path, mtime, mtime))
	})
	if err != nil {
		t.Fatal(err)
	}
	return box, inodesOf(t, box+"/upper")
}

func inodesOf(t testing.TB, dir string) map[string]uint64 {
	t.Helper()
	inodes := make(map[string]uint64)
	err := filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		st, err2 := linux.Lstat(unix.AT_FDCWD, path)
		inodes[path[len(dir):]] = st.Ino
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
	return inodes
}

func TestSealCopiesNothing(t *testing.T) {
	s := newStore(t)
	box, inodes := newUpper(t, "hello")
	l, err := s.Seal(context.Background(), openDir(t, box), "upper", store.SealOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "box", entries(t, box), "[]")
	want(t, "inodes", inodesOf(t, s.Path()+"/layers/"+l.DiffID.Hex()+"/tree"), inodes)
	var out bytes.Buffer
	want(t, "archive", s.Archive(context.Background(), l.DiffID, &out), nil)
	want(t, "digest", oci.FromBytes(out.Bytes()), l.DiffID)
	want(t, "size", out.Len(), l.ArchiveSize)
	again, err := s.Layer(l.DiffID)
	want(t, "record", fmt.Sprint(again, err), fmt.Sprint(l, nil))
	clean(t, s)
}

func TestSealOfAnExistingLayer(t *testing.T) {
	s := newStore(t)
	box, first := newUpper(t, "hello")
	l, err := s.Seal(context.Background(), openDir(t, box), "upper", store.SealOptions{})
	want(t, "first", err, nil)
	box2, _ := newUpper(t, "hello")
	l2, err := s.Seal(context.Background(), openDir(t, box2), "upper", store.SealOptions{})
	want(t, "second", err, nil)
	want(t, "same layer", l2, l)
	want(t, "box", entries(t, box2), "[]")
	want(t, "the first stays", inodesOf(t, s.Path()+"/layers/"+l.DiffID.Hex()+"/tree"), first)
	want(t, "trash", len(entries(t, s.Path()+"/trash")), 1)
	_, err = s.Reap(context.Background())
	want(t, "reap", err, nil)
	clean(t, s)
}

func TestSealThatFailsLeavesTheUpperdir(t *testing.T) {
	s := newStore(t)
	for name, c := range map[string]struct {
		spoil func(upper string) error
		ready error
		want  string
	}{
		"a name that cannot be in an archive": {func(u string) error { return os.WriteFile(u+"/.wh.x", nil, 0o600) }, nil, ".wh.x"},
		"the caller says no":                  {func(string) error { return nil }, errors.New("no space for the record"), "no space for the record"},
	} {
		t.Run(name, func(t *testing.T) {
			box, _ := newUpper(t, name)
			want(t, "spoil", c.spoil(box+"/upper"), nil)
			before := inodesOf(t, box+"/upper")
			opts := store.SealOptions{Ready: func(store.Layer, *durable.Batch) error { return c.ready }}
			_, err := s.Seal(context.Background(), openDir(t, box), "upper", opts)
			wantError(t, err, "seal "+box+"/upper: ", c.want)
			want(t, "upperdir", inodesOf(t, box+"/upper"), before)
			want(t, "layers", entries(t, s.Path()+"/layers"), "[]")
			clean(t, s)
		})
	}
	_, err := s.Seal(context.Background(), openDir(t, t.TempDir()), "upper", store.SealOptions{})
	wantError(t, err, "upper: no such file")
	clean(t, s)
}

// A process that dies when all is ready has lost nothing.
func TestKilledSealLeavesTheUpperdir(t *testing.T) {
	s := newStore(t)
	box, inodes := newUpper(t, "hello")
	sealer := start(t, "seal", nil, s.Path(), box, "upper")
	id := oci.Digest(sealer.says())
	sealer.kill()
	want(t, "upperdir", inodesOf(t, box+"/upper"), inodes)
	got, err := s.Collect(context.Background(), nobody)
	want(t, "collected", fmt.Sprint(got.Staging, err), "1 <nil>")
	_, err = s.Reap(context.Background())
	want(t, "reap", err, nil)
	clean(t, s)
	l, err := s.Seal(context.Background(), openDir(t, box), "upper", store.SealOptions{})
	want(t, "again", fmt.Sprint(l.DiffID, err), fmt.Sprint(id, nil))
}

// A layer without a tree is what a seal leaves that was killed between its two
// renames: no layer, but not in the way of one either.
func TestRestOfAKilledSeal(t *testing.T) {
	s := newStore(t)
	box, inodes := newUpper(t, "hello")
	var id oci.Digest
	opts := store.SealOptions{Ready: func(l store.Layer, _ *durable.Batch) error {
		id = l.DiffID
		return os.Mkdir(s.Path()+"/layers/"+id.Hex(), 0o700)
	}}
	_, err := s.Seal(context.Background(), openDir(t, box), "upper", opts)
	want(t, "seal", err, nil)
	want(t, "inodes", inodesOf(t, s.Path()+"/layers/"+id.Hex()+"/tree"), inodes)
	want(t, "trash", len(entries(t, s.Path()+"/trash")), 1)

	bare := oci.FromBytes([]byte("bare"))
	want(t, "mkdir", os.Mkdir(s.Path()+"/layers/"+bare.Hex(), 0o700), nil)
	_, err = s.Layer(bare)
	want(t, "not there", errors.Is(err, os.ErrNotExist), true)
	all, err := s.Layers()
	want(t, "layers", fmt.Sprint(len(all), err), "1 <nil>")
	got, err := s.Collect(context.Background(), func() (map[oci.Digest]bool, error) { return map[oci.Digest]bool{id: true}, nil })
	want(t, "collected", fmt.Sprint(got.Layers, err), fmt.Sprint([]oci.Digest{bare}, nil))
}

// The directory that becomes the layer is locked before it has the layer's name,
// so that whoever meets it without a tree waits.
func TestSealLocksTheLayer(t *testing.T) {
	s := newStore(t)
	box, _ := newUpper(t, "hello")
	opts := store.SealOptions{Ready: func(store.Layer, *durable.Batch) error {
		staged, err := filepath.Glob(s.Path() + "/staging/*/*")
		if err != nil || len(staged) != 1 {
			return fmt.Errorf("staged: %v, %v", staged, err)
		}
		dir := openDir(t, staged[0])
		_, err = durable.TryShare(dir)
		want(t, "locked", errors.Is(err, durable.ErrLocked), true)
		return nil
	}}
	l, err := s.Seal(context.Background(), openDir(t, box), "upper", opts)
	want(t, "seal", err, nil)
	_, err = durable.TryExclusive(openDir(t, s.Path()+"/layers/"+l.DiffID.Hex()))
	want(t, "given back", err, nil)
}

// Of several who wait for one sealer that then dies, the first clears away what
// he left, and the others leave alone what the first has published since.
func TestWaitersForAKilledSeal(t *testing.T) {
	s := newStore(t)
	data := archive(t, entry{"a", "x"})
	rest := s.Path() + "/layers/" + oci.FromBytes(data).Hex()
	want(t, "mkdir", os.Mkdir(rest, 0o700), nil)
	dead, err := os.Open(rest)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := durable.Exclusive(dead)
	if err != nil {
		t.Fatal(err)
	}
	st, err := linux.Lstat(unix.AT_FDCWD, rest)
	want(t, "stat", err, nil)
	const waiters = 4
	done := make(chan error)
	for range waiters {
		go func() {
			_, err := s.AddLayer(context.Background(), bytes.NewReader(data), store.ApplyOptions{})
			done <- err
		}()
	}
	for waiting(t, st.Ino) < waiters {
		runtime.Gosched()
	}
	want(t, "the sealer dies", sealer.Close(), nil)
	for range waiters {
		want(t, "waiter", <-done, nil)
	}
	want(t, "verify", s.Verify(context.Background(), oci.FromBytes(data)), nil)
	want(t, "trash", len(entries(t, s.Path()+"/trash")), 1)
}

// waiting counts who waits for a flock on the inode (proc_locks(5)).
func waiting(t testing.TB, ino uint64) int {
	t.Helper()
	data, err := os.ReadFile("/proc/locks")
	if err != nil {
		t.Skip("needs /proc/locks: ", err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "-> FLOCK") && strings.Contains(line, fmt.Sprintf(":%d ", ino)) {
			n++
		}
	}
	return n
}

// Two who seal equal upperdirs at once both succeed, with one layer.
func TestSealBesideSeal(t *testing.T) {
	for range 10 {
		s := newStore(t)
		box, _ := newUpper(t, "hello")
		other, _ := newUpper(t, "hello")
		done := make(chan error)
		for _, b := range []string{box, other} {
			from := openDir(t, b)
			go func() {
				_, err := s.Seal(context.Background(), from, "upper", store.SealOptions{})
				done <- err
			}()
		}
		want(t, "one", <-done, nil)
		want(t, "other", <-done, nil)
		layers, err := s.Layers()
		want(t, "layers", fmt.Sprint(len(layers), err), "1 <nil>")
		want(t, "verify", s.Verify(context.Background(), layers[0].DiffID), nil)
	}
}

func TestSealIsReproducible(t *testing.T) {
	epoch := time.Unix(1_500_000_000, 0)
	var ids []oci.Digest
	for range 2 {
		s := newStore(t)
		box, _ := newUpper(t, "hello")
		now := time.Now()
		want(t, "touch", os.Chtimes(box+"/upper/big", now, now), nil)
		l, err := s.Seal(context.Background(), openDir(t, box), "upper", store.SealOptions{Epoch: &epoch})
		want(t, "seal", err, nil)
		ids = append(ids, l.DiffID)
	}
	want(t, "digest", ids[0], ids[1])
}
