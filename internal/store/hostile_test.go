// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"strata/internal/hostile"
	"strata/internal/oci"
	"strata/internal/store"
	"strata/internal/tree"
)

// eachHostile runs f for each of the hostile layers.
func eachHostile(t *testing.T, f func(t *testing.T, name string, l hostile.Layer)) {
	groups := hostile.Layers()
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		for _, l := range groups[group] {
			name := group + "/" + l.Name
			t.Run(name, func(t *testing.T) { f(t, name, l) })
		}
	}
}

// TestHostileLayers runs in a process of its own, to see how much memory it takes.
func TestHostileLayers(t *testing.T) {
	needMount(t)
	const alone = "STRATA_TEST_HOSTILE"
	if os.Getenv(alone) != "" {
		eachHostile(t, applyHostile)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestHostileLayers$")
	cmd.Env = append(os.Environ(), alone+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	most := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss // KiB, getrusage(2)
	t.Logf("%d MiB of memory at most", most>>10)
	if most > 256<<10 {
		t.Errorf("it took %d MiB", most>>10)
	}
}

// applyHostile takes the layer in, beside a directory that must stay as it is.
func applyHostile(t *testing.T, _ string, l hostile.Layer) {
	base := t.TempDir()
	s := openStore(t, filepath.Join(base, "store"))
	outside := filepath.Join(base, "outside")
	tree.Create(t, outside, tree.New(tree.File("file", "sentinel", tree.Mode(0o4755)), tree.Dir("sub")))
	lock, err := s.Share() // which makes its file
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
	before := listing(t, base)
	layers, err := intakeHostile(t, s, l, outside)
	if l.Err != "" {
		wantHostileError(t, err, strings.ReplaceAll(l.Err, hostile.Outside, outside))
		if diff := cmp.Diff(before, listing(t, base)); diff != "" {
			t.Errorf("what is there (-before +after):\n%s", diff)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	clean(t, s)
	want(t, "beside it", entries(t, base), "[outside store]")
	if after := listing(t, outside); !strings.Contains(before, after) {
		t.Errorf("what is outside: got %s, of %s", after, before)
	}
	for _, id := range layers {
		want(t, "verify", s.Verify(context.Background(), id), nil)
	}
	if l.Unread {
		return
	}
	place := func(tr tree.Tree) tree.Tree {
		return noDirTimes(tr.Map(func(e *tree.Entry) { e.Target = strings.ReplaceAll(e.Target, hostile.Outside, outside) }))
	}
	own := tree.Read(t, s.Path()+"/layers/"+layers[len(layers)-1].Hex()+"/tree", tree.NoDirTimes)
	if diff := cmp.Diff(place(l.Want), own, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(place(noLinks(l.Shows())), noLinks(mergedTree(t, s, layers)), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("merged tree (-want +got):\n%s", diff)
	}
}

func wantHostileError(t *testing.T, err error, message string) {
	t.Helper()
	if err == nil || !strings.HasSuffix(err.Error(), message) {
		t.Errorf("error %v\nwant  …%s", err, message)
	}
}

func intakeHostile(t *testing.T, s *store.Store, l hostile.Layer, outside string) (ids []oci.Digest, err error) {
	t.Helper()
	st, err := s.Stage()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	for _, archive := range []io.Reader{l.Lower(outside), l.Archive(outside)} {
		if archive == nil {
			continue
		}
		l, err := st.Apply(context.Background(), archive, store.ApplyOptions{})
		if err != nil {
			return nil, err
		}
		ids = append(ids, l.DiffID)
	}
	if err := st.Complete(ids); err != nil {
		return nil, err
	}
	return ids, st.Publish()
}

// noLinks gives every name of a file its content: which names a mount shows as
// one file is overlay's business.
func noLinks(tr tree.Tree) tree.Tree {
	byPath := map[string]tree.Entry{}
	for _, e := range tr {
		byPath[e.Path] = e
	}
	return tr.Map(func(e *tree.Entry) {
		if e.Kind == tree.KindHardLink {
			name := e.Path
			*e = byPath[e.Target]
			e.Path = name
		}
	})
}

// FuzzLinksToLowerLayers takes any archive in on top of one layer: it is refused
// and leaves nothing, or the stack can be mounted and read and the archive made
// again.
func FuzzLinksToLowerLayers(f *testing.F) {
	needMount(f)
	beneath := hostile.Layers()["links to lower layers"][0]
	for _, group := range []string{"links to lower layers", "across layers", "hard links"} {
		for _, l := range hostile.Layers()[group] {
			data, err := io.ReadAll(l.Archive("/outside"))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		s := newStore(t)
		ids, err := intakeHostile(t, s, hostile.Layer{Beneath: beneath.Beneath, Bytes: func() io.Reader { return bytes.NewReader(data) }}, "/outside")
		clean(t, s)
		if err != nil {
			want(t, "layers", entries(t, s.Path()+"/layers"), "[]")
			return
		}
		mergedTree(t, s, ids)
		for _, id := range ids {
			want(t, "verify", s.Verify(context.Background(), id), nil)
		}
	})
}
