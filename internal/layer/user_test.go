// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strata/internal/layer"
	"strata/internal/tree"
)

const nobody = 65534

// asNobody runs f on a thread of its own that is an ordinary user's, and ends
// that thread. Apply makes its system calls on the goroutine that calls it.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			if _, _, errno := unix.RawSyscall(call, nobody, nobody, nobody); errno != 0 {
				done <- errno
				return
			}
		}
		f()
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Skipf("needs to become another user: %v", err)
	}
}

func TestApplyAsAnOrdinaryUser(t *testing.T) {
	needRoot(t)
	dirs := t.TempDir()
	to := filepath.Join(dirs, "tree")
	tree.Create(t, to, nil)
	for _, dir := range []string{filepath.Dir(dirs), dirs, to} {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	data := archive(t,
		dir("ro").with(mode(0o555)).with(owner(0, 0)), file("ro/a", "x").with(owner(1000, 1000)).with(mode(0o4755)), dir("ro/closed").with(mode(0)),
		file("ro/closed/b", "y").with(mode(0)), file("c", "z").with(xattr("trusted.x", "y")), file("d", "z").with(xattr("security.capability", capability)),
		file("e", "z").with(xattr("user.x", "y")), file("ro/.wh.gone", ""), file("ro/.wh..wh..opq", ""), file("ro/a", "again"),
	)
	opts := layer.ApplyOptions{Unprivileged: true, Marks: layer.Marks{UserXattr: true}}
	var failed error
	asNobody(t, func() { failed = applyOnce(ctx, to, bytes.NewReader(data), nil, opts) })
	if failed != nil {
		t.Fatal(failed)
	}
	mine := tree.Owner(nobody, nobody)
	want := tree.New(
		tree.Dir("ro", tree.Mode(0o555), mine, tree.Opaque), tree.File("ro/a", "again", mine), tree.Dir("ro/closed", tree.Mode(0), mine),
		tree.File("ro/closed/b", "y", tree.Mode(0), mine), tree.Whiteout("ro/gone"), tree.File("c", "z", mine), tree.File("d", "z", mine),
		tree.File("e", "z", mine, tree.Xattr("user.x", "y")),
	)
	if diff := cmp.Diff(want, tree.Read(t, to, tree.UserXattr)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	null := archive(t, device("null", tar.TypeChar, 1, 3))
	asNobody(t, func() {
		failed = applyOnce(ctx, to, bytes.NewReader(null), nil, opts)
	})
	if got := message(failed); got != "entry null: device 1:3: devices need root" {
		t.Errorf("a device: %q", got)
	}
}
