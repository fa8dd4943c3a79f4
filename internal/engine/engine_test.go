// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strata/internal/container"
	"strata/internal/durable"
	"strata/internal/leak"
	"strata/internal/store"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// newEngine opens an engine on a new store that has the image "img" of a few
// files.
func newEngine(t *testing.T) *Engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "")
	dir := t.TempDir()
	leak.Check(t, dir)
	e := openEngine(t, filepath.Join(dir, "store"))
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}, {Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644}, {Name: "dir/lower", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "gone", Typeflag: tar.TypeReg, Mode: 0o644},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Import(context.Background(), &b, ImportOptions{Name: "img"}); err != nil {
		t.Fatal(err)
	}
	return e
}

// openEngine opens the store as another process would.
func openEngine(t *testing.T, root string) *Engine {
	t.Helper()
	e, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// newChanged makes a container of that name that has changed a few files.
func newChanged(t *testing.T, e *Engine, name string) {
	t.Helper()
	c, err := e.Create(CreateOptions{Image: "img", Command: []string{"true"}, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	changeUpper(t, c, "first")
}

// changeUpper writes as a container would: a new file, one in a directory of
// the layer, and a whiteout.
func changeUpper(t *testing.T, c *container.Container, text string) {
	t.Helper()
	upper := c.UpperPath()
	if err := os.MkdirAll(filepath.Join(upper, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new", "dir/upper"} {
		if err := os.WriteFile(filepath.Join(upper, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := mknodWhiteout(filepath.Join(upper, "gone")); err != nil {
		t.Fatal(err)
	}
}

// exported is the whole tree of a container: names and contents.
func exported(t *testing.T, e *Engine, name string) map[string]string {
	t.Helper()
	var b bytes.Buffer
	if err := e.Export(context.Background(), name, &b); err != nil {
		t.Fatalf("export %s: %v", name, err)
	}
	files := map[string]string{}
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "./")] = string(content)
	}
}

var errKilled = errors.New("killed")

// interruptions stop a commit of the locked container c at one step each, as a
// kill would, and leave what that leaves.
func interruptions() map[string]func(*testing.T, *Engine, *container.Container) {
	ready := func(e *Engine, c *container.Container, after error) func(store.Layer, *durable.Batch) error {
		return func(l store.Layer, b *durable.Batch) error {
			r := c.Record
			r.Layers = append(r.Layers[:len(r.Layers):len(r.Layers)], l.DiffID)
			r.Sealing = l.DiffID
			if err := c.RebaseIn(b, r); err != nil {
				return err
			}
			b.Do(func() error { return after })
			return nil
		}
	}
	seal := func(t *testing.T, e *Engine, c *container.Container, after error) {
		if _, err := e.normalise(&c.Record, c.UpperPath()); err != nil {
			t.Fatal(err)
		}
		err := e.shared(func() error {
			_, err := e.store.Seal(context.Background(), c.Dir(), container.UpperName, store.SealOptions{Ready: ready(e, c, after)})
			return err
		})
		if !errors.Is(err, after) {
			t.Fatal(err)
		}
	}
	return map[string]func(*testing.T, *Engine, *container.Container){
		"before anything": func(*testing.T, *Engine, *container.Container) {},
		"normalised": func(t *testing.T, e *Engine, c *container.Container) {
			if _, err := e.normalise(&c.Record, c.UpperPath()); err != nil {
				t.Fatal(err)
			}
		},
		"announced, the upperdir in its place": func(t *testing.T, e *Engine, c *container.Container) { seal(t, e, c, errKilled) },
		"sealed, without an upperdir":          func(t *testing.T, e *Engine, c *container.Container) { seal(t, e, c, nil) },
		"sealed, with a new upperdir": func(t *testing.T, e *Engine, c *container.Container) {
			seal(t, e, c, nil)
			if err := c.RenewUpper(); err != nil {
				t.Fatal(err)
			}
		},
		"settled, without an image": func(t *testing.T, e *Engine, c *container.Container) {
			seal(t, e, c, nil)
			if err := e.settle(c); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// TestInterruptedCommit stops a commit at each step, opens the store again, and
// checks that the container has lost nothing, whatever is done first, and that
// a commit then makes the image it would have made.
func TestInterruptedCommit(t *testing.T) {
	for name, interrupt := range interruptions() {
		for _, collected := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				e := newEngine(t)
				newChanged(t, e, "con")
				want := exported(t, e, "con")
				c, err := e.Lock("con")
				if err != nil {
					t.Fatal(err)
				}
				interrupt(t, e, c)
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				again := openEngine(t, e.Root())
				if collected {
					if _, err := again.Collect(); err != nil {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff(want, exported(t, again, "con")); diff != "" {
					t.Errorf("what the container holds:\n%s", diff)
				}
				commitsTo(t, again, "con", want)
			})
		}
	}
}

// commitsTo commits a container and checks what a container of the image holds.
func commitsTo(t *testing.T, e *Engine, name string, want map[string]string) {
	t.Helper()
	img, err := e.Commit(context.Background(), name, CommitOptions{Name: "committed"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Create(CreateOptions{Image: "committed", Command: []string{"true"}, Name: "check"})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	for _, container := range []string{"check", name} {
		if diff := cmp.Diff(want, exported(t, e, container)); diff != "" {
			t.Errorf("%s after the commit of %v:\n%s", container, img.Layers, diff)
		}
	}
	if _, ok := want["gone"]; ok {
		t.Error("the whiteout hides nothing")
	}
}

// TestCommitOfEqualTrees seals a tree whose layer the store has already.
func TestCommitOfEqualTrees(t *testing.T) {
	e := newEngine(t)
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	newChanged(t, e, "one")
	newChanged(t, e, "two")
	want := exported(t, e, "one")
	first, err := e.Commit(context.Background(), "one", CommitOptions{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := e.Commit(context.Background(), "two", CommitOptions{Name: "two"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Layers, second.Layers); diff != "" {
		t.Errorf("equal trees have other layers:\n%s", diff)
	}
	// committing what has not changed, twice, puts an empty layer on top twice
	for range 2 {
		if _, err := e.Commit(context.Background(), "two", CommitOptions{Name: "two"}); err != nil {
			t.Fatal(err)
		}
	}
	commitsTo(t, e, "two", want)
}

// TestMountedIsLeftAlone checks what may not be done to a mounted container.
func TestMountedIsLeftAlone(t *testing.T) {
	e := newEngine(t)
	newChanged(t, e, "con")
	at, err := e.Mount("con")
	if err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"commit": func() error { _, err := e.Commit(context.Background(), "con", CommitOptions{}); return err },
		"remove": func() error { return e.Remove("con", true) },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), "umount con") {
			t.Errorf("%s of a mounted container: %v", what, err)
		}
	}
	if content, err := os.ReadFile(at + "/new"); string(content) != "first" {
		t.Errorf("in the mount: %q, %v", content, err)
	}
	if err := e.Unmount("con"); err != nil {
		t.Fatal(err)
	}
	if err := e.Remove("con", false); err != nil {
		t.Fatal(err)
	}
}
