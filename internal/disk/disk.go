// SPDX-License-Identifier: Apache-2.0

// Package disk makes filesystems for tests: small ones, that are soon full, and
// whose power can fail.
package disk

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A Disk is an ext4 filesystem in a file, mounted on Dir until the test ends.
type Disk struct {
	Dir   string
	t     testing.TB
	image string
}

// New mounts a filesystem of the size, as truncate(1) takes it, or skips the
// test where that cannot be done.
func New(t testing.TB, size string) *Disk {
	t.Helper()
	d := &Disk{t: t, image: filepath.Join(t.TempDir(), "image"), Dir: t.TempDir()}
	d.run("truncate", "-s", size, d.image)
	d.run("mkfs.ext4", "-q", d.image)
	d.run("mount", "-o", "loop", d.image, d.Dir)
	t.Cleanup(func() {
		if err := unix.Unmount(d.Dir, unix.MNT_DETACH); err != nil {
			t.Error("unmount: ", err)
		}
	})
	return d
}

func (d *Disk) run(command string, args ...string) {
	d.t.Helper()
	if out, err := exec.Command(command, args...).CombinedOutput(); err != nil {
		d.t.Skipf("needs mkfs.ext4 and a loop device: %s: %v: %s", command, err, out)
	}
}

// Fail stops the filesystem without writing its journal, as if the power had
// failed now.
func (d *Disk) Fail() error {
	const (
		shutdown   = 0x8004587d // FS_IOC_SHUTDOWN
		noLogFlush = 2
	)
	root, err := os.Open(d.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return os.NewSyscallError("ioctl FS_IOC_SHUTDOWN", unix.IoctlSetPointerInt(int(root.Fd()), shutdown, noLogFlush))
}

// Restart mounts the filesystem again. The test has mounts of its own
// (OwnMounts), and no file of the filesystem is open.
func (d *Disk) Restart() {
	d.t.Helper()
	if err := unix.Unmount(d.Dir, 0); err != nil {
		d.t.Fatal("unmount: ", err)
	}
	d.run("mount", "-o", "loop", d.image, d.Dir)
}

// OwnMounts runs the test in a mount namespace of its own, and reports whether
// it is there by now. Every container that begins holds a copy of what is mounted
// where it is started for a moment: it would keep a filesystem whose power has
// failed, and mounting the image again would give that one.
func OwnMounts(t *testing.T) bool {
	t.Helper()
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
	switch {
	case err != nil:
		t.Errorf("%v:\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	case !bytes.Contains(out, []byte("--- PASS")):
		t.Errorf("no test was run:\n%s", out)
	}
	return false
}
