// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strata/internal/durable"
	"strata/internal/linux"
	"strata/internal/store"
)

// disk is an ext4 filesystem in a file, that can lose its power.
type disk struct {
	t          *testing.T
	image, dir string
}

func newDisk(t *testing.T) *disk {
	d := &disk{t, filepath.Join(t.TempDir(), "image"), t.TempDir()}
	d.run("truncate", "-s", "64M", d.image)
	d.run("mkfs.ext4", "-q", d.image)
	d.run("mount", "-o", "loop", d.image, d.dir)
	t.Cleanup(func() { check(t, unix.Unmount(d.dir, unix.MNT_DETACH)) })
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
func (d *disk) fail() {
	d.t.Helper()
	const (
		shutdown   = 0x8004587d // FS_IOC_SHUTDOWN
		noLogFlush = 2
	)
	root, err := linux.OpenDir(d.dir)
	check(d.t, err)
	defer root.Close()
	if err := unix.IoctlSetPointerInt(int(root.Fd()), shutdown, noLogFlush); err != nil {
		d.t.Skip("needs FS_IOC_SHUTDOWN: ", err)
	}
}

// inOwnMounts runs the test in a mount namespace of its own, and reports whether it
// is there by now. Every other container that begins holds a copy of what is
// mounted here for a moment: it would keep the filesystem whose power has failed,
// and mounting the image again would give that one.
func inOwnMounts(t *testing.T) bool {
	const env = "STRATA_TEST_OWN_MOUNTS"
	if os.Getenv(env) != "" {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), env+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	} else if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skipf("%s", out)
	}
	return false
}

// restart mounts the filesystem again. Nothing may have a file of it open.
func (d *disk) restart() {
	d.t.Helper()
	check(d.t, unix.Unmount(d.dir, 0))
	d.run("mount", "-o", "loop", d.image, d.dir)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// A commit is on disk when it has ended, and when the power fails in it nothing
// of the container is lost: another commit makes the image.
func TestPowerFailsAtCommit(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	for name, until := range map[string]func(*testing.T, *disk, *Engine){
		"ended": func(t *testing.T, d *disk, e *Engine) {
			_, err := e.Commit(context.Background(), "con", CommitOptions{Name: "first"})
			check(t, err)
			d.fail()
		},
		"sealed, nothing synced since": func(t *testing.T, d *disk, e *Engine) {
			sealUntil(t, e, func() error { d.fail(); return errKilled })
		},
		"sealed, and all of it synced": func(t *testing.T, d *disk, e *Engine) {
			sealUntil(t, e, func() error {
				root, err := linux.OpenDir(d.dir)
				check(t, errors.Join(err, durable.SyncFS(root), root.Close()))
				d.fail()
				return errKilled
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SOURCE_DATE_EPOCH", "")
			d := newDisk(t)
			want := changedOn(t, d, until)
			d.restart()
			e, err := Open(d.dir + "/store")
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
func changedOn(t *testing.T, d *disk, until func(*testing.T, *disk, *Engine)) map[string]string {
	e, err := Open(d.dir + "/store")
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
