// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"strata/internal/disk"
	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/oci"
	"strata/internal/store"
)

// openOn opens the store on the disk; it must be closed before a restart.
func openOn(t *testing.T, d *disk.Disk) *store.Store {
	t.Helper()
	s, err := store.Open(d.Dir+"/store", options())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The last thing before the power fails is what has to be on disk: a later sync
// would hide that it is missing.
func TestLayerSurvivesPowerFailure(t *testing.T) {
	if !disk.OwnMounts(t) {
		return
	}
	for name, make := range map[string]func(*testing.T, *disk.Disk, *store.Store) oci.Digest{
		"added": func(t *testing.T, _ *disk.Disk, s *store.Store) oci.Digest {
			return add(t, s, entry{"dir/", ""}, entry{"dir/file", strings.Repeat("x", 1<<20)}).DiffID
		},
		"sealed": func(t *testing.T, d *disk.Disk, s *store.Store) oci.Digest { return sealOn(t, d, s, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			d := disk.New(t, "64M")
			s := openOn(t, d)
			id := make(t, d, s)
			want(t, "close", s.Close(), nil)
			if err := d.Fail(); err != nil {
				t.Skip("needs FS_IOC_SHUTDOWN: ", err)
			}
			d.Restart()
			s = openOn(t, d)
			defer s.Close()
			want(t, "verify", s.Verify(context.Background(), id), nil)
			if name == "sealed" {
				want(t, "upperdir", entries(t, d.Dir+"/box"), "[]")
			}
			sweep(t, s, id)
		})
	}
}

// sealOn makes an upperdir on the disk and seals it.
func sealOn(t *testing.T, d *disk.Disk, s *store.Store, ready func(store.Layer, *durable.Batch) error) oci.Digest {
	t.Helper()
	err := errors.Join(os.MkdirAll(d.Dir+"/box/upper/etc", 0o755), os.WriteFile(d.Dir+"/box/upper/etc/file", []byte(strings.Repeat("x", 1<<20)), 0o644))
	want(t, "make", err, nil)
	from, err := linux.OpenDir(d.Dir + "/box")
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
	if !disk.OwnMounts(t) {
		return
	}
	d := disk.New(t, "64M")
	s := openOn(t, d)
	var id oci.Digest
	var failed error
	sealOn(t, d, s, func(l store.Layer, b *durable.Batch) error {
		b.Do(func() error {
			id, failed = l.DiffID, d.Fail()
			return errors.New("the power has failed")
		})
		return nil
	})
	want(t, "close", s.Close(), nil)
	if failed != nil {
		t.Skip("needs FS_IOC_SHUTDOWN: ", failed)
	}
	d.Restart()
	s = openOn(t, d)
	defer s.Close()
	from, err := linux.OpenDir(d.Dir + "/box")
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
