// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/spawn"
)

// No path of the image leads to a descriptor that we have while the child is
// made, whether it is named or a link has been laid there (CVE-2024-21626).
func TestWorkingDirectoryOfTheHost(t *testing.T) {
	dir := rootfs(t)
	for fd := range 64 {
		link := fmt.Sprintf("/tmp/%d", fd)
		if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", fd), filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
		for _, cwd := range []string{fmt.Sprintf("/proc/self/fd/%d", fd), fmt.Sprintf("/proc/1/fd/%d/..", fd), link, "/proc/self/cwd", "/proc/self/root"} {
			spec := newSpec("ls -di . ..")
			spec.Process.Cwd = cwd
			got, _, err := run(t, dir, spec, nil)
			var failed *spawn.Error
			if err == nil || errors.As(err, &failed) && failed.Exec {
				t.Fatalf("a program began in %s, which is %q, %v", cwd, got, err)
			}
		}
	}
}

func TestWorkingDirectoryThroughLinks(t *testing.T) {
	dir := rootfs(t)
	if err := os.Symlink("../../../etc", filepath.Join(dir, "tmp/l")); err != nil {
		t.Fatal(err)
	}
	spec := newSpec("readlink /proc/self/cwd")
	spec.Process.Cwd = "/tmp/l"
	if got, _, err := run(t, dir, spec, nil); err != nil || got != "/etc" {
		t.Errorf("got %q, %v; want /etc", got, err)
	}
	spec = newSpec("true")
	spec.Process.Cwd = "/proc/version"
	var failed *spawn.Error
	if _, _, err := run(t, dir, spec, nil); !errors.As(err, &failed) || failed.Errno != unix.ENOTDIR {
		t.Errorf("got %v, want ENOTDIR", err)
	}
}
