// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strata/internal/disk"
	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/store"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// A commit is on disk when it has ended, and when the power fails in it nothing
// of the container is lost: another commit makes the image.
func TestPowerFailsAtCommit(t *testing.T) {
	if !disk.OwnMounts(t) {
		return
	}
	for name, until := range map[string]func(*testing.T, *disk.Disk, *Engine){
		"ended": func(t *testing.T, d *disk.Disk, e *Engine) {
			_, err := e.Commit(context.Background(), "con", CommitOptions{Name: "first"})
			check(t, err)
			check(t, d.Fail())
		},
		"sealed, nothing synced since": func(t *testing.T, d *disk.Disk, e *Engine) {
			sealUntil(t, e, func() error { check(t, d.Fail()); return errKilled })
		},
		"sealed, and all of it synced": func(t *testing.T, d *disk.Disk, e *Engine) {
			sealUntil(t, e, func() error {
				root, err := linux.OpenDir(d.Dir)
				check(t, errors.Join(err, durable.SyncFS(root), root.Close()))
				check(t, d.Fail())
				return errKilled
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SOURCE_DATE_EPOCH", "")
			d := disk.New(t, "64M")
			want := changedOn(t, d, until)
			d.Restart()
			e, err := Open(d.Dir + "/store")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { check(t, e.Close()) }()
			if name == "ended" {
				img, err := e.images.Resolve("first")
				check(t, err)
				for _, id := range img.Layers {
					check(t, e.store.Verify(context.Background(), id))
				}
			}
			if diff := cmp.Diff(want, exported(t, e, "con")); diff != "" {
				t.Errorf("what the container holds:\n%s", diff)
			}
			commitsTo(t, e, "con", want)
		})
	}
}

// changedOn makes a store on the disk with a container that has changed files,
// and returns what it holds. Then the power fails, and the store is closed.
func changedOn(t *testing.T, d *disk.Disk, until func(*testing.T, *disk.Disk, *Engine)) map[string]string {
	e, err := Open(d.Dir + "/store")
	check(t, err)
	defer e.Close() // not checked: the disk is dead
	base := t.TempDir()
	check(t, errors.Join(os.Mkdir(base+"/dir", 0o755), os.WriteFile(base+"/gone", nil, 0o644)))
	_, err = e.ImportDir(context.Background(), base, ImportOptions{Name: "img"})
	check(t, err)
	newChanged(t, e, "con")
	want := exported(t, e, "con")
	until(t, d, e)
	return want
}

// sealUntil seals the container's upperdir and then calls stop.
func sealUntil(t *testing.T, e *Engine, stop func() error) {
	c, err := e.Lock("con")
	check(t, err)
	defer c.Close()
	o := store.SealOptions{Sealed: func(_ store.Layer, b *durable.Batch) error {
		b.Do(stop)
		return nil
	}}
	if err := e.shared(func() error { return e.seal(context.Background(), c, o) }); !errors.Is(err, errKilled) {
		t.Error(err)
	}
}
