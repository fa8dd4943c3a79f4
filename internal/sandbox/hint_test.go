// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"strata/internal/leak"
	"strata/internal/spawn"
)

const chrootEnv = "STRATA_TEST_CHROOT"

// A root directory that is no mount cannot be left: the child stops and says so.
func TestRootThatIsNoMount(t *testing.T) {
	if os.Getenv(chrootEnv) != "" {
		child, err := Begin(newSpec("true"))
		if err == nil {
			_, err = child.Continue(new(spawn.List))
		}
		t.Fatal(rootHint(err))
	}
	dir := t.TempDir()
	leak.Check(t, dir)
	program, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "test"), program, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/test", "-test.run=^"+t.Name()+"$")
	cmd.Env, cmd.Dir = []string{chrootEnv + "=1"}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
	out, _ := cmd.CombinedOutput()
	if !strings.Contains(string(out), privateMounts+": invalid argument; the root directory here is an initramfs or a chroot") {
		t.Errorf("%s", out)
	}
}
