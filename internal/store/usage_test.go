// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/store"
)

func blocks(t testing.TB, paths ...string) (n int64) {
	t.Helper()
	for _, path := range paths {
		st, err := linux.Lstat(unix.AT_FDCWD, path)
		if err != nil {
			t.Fatal(err)
		}
		n += st.Blocks * 512
	}
	return n
}

func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	err := errors.Join(
		os.Mkdir(dir+"/sub", 0o755),
		os.WriteFile(dir+"/a", make([]byte, 10_000), 0o600),
		os.Link(dir+"/a", dir+"/sub/b"), // the same file again
		os.Link(dir+"/a", dir+"/c"),
		os.Symlink("0123456789", dir+"/link"),
		os.WriteFile(dir+"/sparse", nil, 0o600),
		os.Truncate(dir+"/sparse", 1<<40),
		unix.Mknod(dir+"/sub/pipe", unix.S_IFIFO|0o600, 0),
	)
	want(t, "make", err, nil)
	got, err := store.Measure(openDir(t, dir))
	want(t, "error", err, nil)
	want(t, "usage", got, store.Usage{
		Apparent:  10_000 + 10 + 1<<40,
		Allocated: blocks(t, dir, dir+"/sub", dir+"/a", dir+"/link", dir+"/sparse", dir+"/sub/pipe"),
		Inodes:    6,
	})
	if got.Allocated > 1<<20 {
		t.Errorf("a sparse file takes %d bytes", got.Allocated)
	}
}

func TestUsageIsKept(t *testing.T) {
	s := newStore(t)
	l := add(t, s, entry{"a", string(make([]byte, 5000))})
	dir := s.Path() + "/layers/" + l.DiffID.Hex()
	wanted := store.Usage{
		Apparent: 5000, Inodes: 2,
		Allocated: blocks(t, dir+"/tree", dir+"/tree/a", dir+"/archive.gz"),
	}
	got, err := s.Usage(l.DiffID)
	want(t, "usage", fmt.Sprint(got, err), fmt.Sprint(wanted, nil))
	want(t, "kept", os.WriteFile(dir+"/usage.json", []byte(`{"version":1,"apparent":1,"allocated":2,"inodes":3}`), 0o600), nil)
	got, err = s.Usage(l.DiffID)
	want(t, "kept", fmt.Sprint(got, err), fmt.Sprint(store.Usage{Apparent: 1, Allocated: 2, Inodes: 3}, nil))
	want(t, "spoil", os.WriteFile(dir+"/usage.json", []byte("{"), 0o600), nil)
	got, err = s.Usage(l.DiffID)
	want(t, "measured again", fmt.Sprint(got, err), fmt.Sprint(wanted, nil))
}

// What completes a layer takes blocks, and so does a kept blob.
func TestUsageBesideTheTree(t *testing.T) {
	needMount(t)
	s := newStore(t)
	ids, err := intake(t, s, []content{fileOf("big", strings.Repeat("x", 100_000))}, []content{linkOf("copy", "big")})
	if err != nil {
		t.Fatal(err)
	}
	dir := s.Path() + "/layers/" + ids[1].Hex()
	completion := dir + "/implied/" + ids[0].Hex()
	want(t, "blob", os.WriteFile(dir+"/blob-"+ids[0].Hex(), make([]byte, 10_000), 0o600), nil)
	got, err := s.Usage(ids[1])
	want(t, "error", err, nil)
	want(t, "allocated", got.Allocated, blocks(t, dir+"/tree", dir+"/archive.gz", completion, completion+"/copy", dir+"/blob-"+ids[0].Hex()))
}
