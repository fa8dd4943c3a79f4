// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/store"
)

// disk is an ext4 filesystem in a file, that can lose its power.
type disk struct {
	t     *testing.T
	image string
	dir   string
}

func newDisk(t *testing.T) *disk {
	d := &disk{t, filepath.Join(t.TempDir(), "image"), t.TempDir()}
	d.run("truncate", "-s", "64M", d.image)
	d.run("mkfs.ext4", "-q", d.image)
	d.run("mount", "-o", "loop", d.image, d.dir)
	t.Cleanup(func() { want(t, "unmount", unix.Unmount(d.dir, unix.MNT_DETACH), nil) })
	return d
}

func (d *disk) run(command string, args ...string) {
	d.t.Helper()
	if out, err := exec.Command(command, args...).CombinedOutput(); err != nil {
		d.t.Skipf("needs mkfs.ext4 and a loop device: %s: %v: %s", command, err, out)
	}
}

// fail stops the filesystem without writing its journal, as if the power had
// failed now.
func (d *disk) fail() error {
	const (
		shutdown   = 0x8004587d // FS_IOC_SHUTDOWN
		noLogFlush = 2
	)
	root, err := linux.OpenDir(d.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return unix.IoctlSetPointerInt(int(root.Fd()), shutdown, noLogFlush)
}

// restart mounts the filesystem again, on the same directory.
func (d *disk) restart() {
	d.t.Helper()
	want(d.t, "unmount", unix.Unmount(d.dir, 0), nil)
	d.run("mount", "-o", "loop", d.image, d.dir)
}

// open opens the store on the disk; it must be closed before a restart.
func (d *disk) open() *store.Store {
	d.t.Helper()
	s, err := store.Open(d.dir+"/store", options())
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// The last thing before the power fails is what has to be on disk: a later sync
// would hide that it is missing.
func TestLayerSurvivesPowerFailure(t *testing.T) {
	for name, make := range map[string]func(*testing.T, *disk, *store.Store) oci.Digest{
		"added": func(t *testing.T, _ *disk, s *store.Store) oci.Digest {
			return add(t, s, entry{"dir/", ""}, entry{"dir/file", strings.Repeat("x", 1<<20)}).DiffID
		},
		"sealed": func(t *testing.T, d *disk, s *store.Store) oci.Digest { return sealOn(t, d, s, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			s := d.open()
			id := make(t, d, s)
			want(t, "close", s.Close(), nil)
			if err := d.fail(); err != nil {
				t.Skip("needs FS_IOC_SHUTDOWN: ", err)
			}
			d.restart()
			s = d.open()
			defer s.Close()
			want(t, "verify", s.Verify(context.Background(), id), nil)
			if name == "sealed" {
				want(t, "upperdir", entries(t, d.dir+"/box"), "[]")
			}
			sweep(t, s, id)
		})
	}
}

// sealOn makes an upperdir on the disk and seals it.
func sealOn(t *testing.T, d *disk, s *store.Store, ready func(store.Layer, *durable.Batch) error) oci.Digest {
	t.Helper()
	err := errors.Join(os.MkdirAll(d.dir+"/box/upper/etc", 0o755), os.WriteFile(d.dir+"/box/upper/etc/file", []byte(strings.Repeat("x", 1<<20)), 0o644))
	want(t, "make", err, nil)
	from, err := linux.OpenDir(d.dir + "/box")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	l, err := s.Seal(context.Background(), from, "upper", store.SealOptions{Ready: ready})
	if ready == nil {
		want(t, "seal", err, nil)
	}
	return l.DiffID
}

// When the power fails as soon as the caller may record the layer, the upperdir
// is whole and in its place, and a new seal gives the same layer.
func TestPowerFailsInSeal(t *testing.T) {
	d := newDisk(t)
	s := d.open()
	var id oci.Digest
	var failed error
	sealOn(t, d, s, func(l store.Layer, b *durable.Batch) error {
		b.Do(func() error {
			id, failed = l.DiffID, d.fail()
			return errors.New("the power has failed")
		})
		return nil
	})
	want(t, "close", s.Close(), nil)
	if failed != nil {
		t.Skip("needs FS_IOC_SHUTDOWN: ", failed)
	}
	d.restart()
	s = d.open()
	defer s.Close()
	from, err := linux.OpenDir(d.dir + "/box")
	want(t, "open", err, nil)
	defer from.Close()
	l, err := s.Seal(context.Background(), from, "upper", store.SealOptions{})
	want(t, "seal", err, nil)
	want(t, "layer", l.DiffID, id)
	sweep(t, s, id)
}

// sweep collects what the power failure left beside the layers: staging
// directories whose removal had not reached the disk.
func sweep(t *testing.T, s *store.Store, ids ...oci.Digest) {
	t.Helper()
	used := make(map[oci.Digest]bool)
	for _, id := range ids {
		used[id] = true
	}
	got, err := s.Collect(context.Background(), func() (map[oci.Digest]bool, error) { return used, nil })
	want(t, "collect", fmt.Sprint(got.Layers, err), "[] <nil>")
	_, err = s.Reap(context.Background())
	want(t, "reap", err, nil)
	clean(t, s)
}
