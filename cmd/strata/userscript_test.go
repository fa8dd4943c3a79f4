// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"strata/internal/linux"
)

// TestScriptsAsUser runs the scripts of TestScripts as an ordinary user with
// subordinate ids, but for those that are about root.
func TestScriptsAsUser(t *testing.T) {
	needsContainers(t)
	needs(t, "useradd", "userdel", "newuidmap", "newgidmap", "setpriv")
	name := addUser(t, "/nonexistent", true)
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	rootfs := userRootfs(t, u)
	testscript.Run(t, testscript.Params{
		Files:               scriptsForUsers(t),
		RequireExplicitExec: true,
		Setup:               func(env *testscript.Env) error { return setupUserScript(env, u, rootfs) },
		Cmds:                scriptCommands(),
		Condition:           scriptCondition,
		Deadline:            time.Now().Add(8 * patience),
	})
}

// ordinaryEnv tells a script that strata runs as an ordinary user.
const ordinaryEnv = "ORDINARY_USER"

// scriptsForRoot are about what an ordinary user cannot do: mount on the host, make
// devices, limit resources, have a container with ids of its own, own what the
// script made as root.
var scriptsForRoot = []string{
	"mount", "ls-special", "odd-store", "inspect-json", "import-directory", "import-archives", "damaged", "bad-images",
	"export", "diff-special", "run-privileged", "userns",
	"limits", "update", "pause", "cgroup-v2", "rootfs-store", "rootfs-host", "gc", "bad-store", "run-volumes", "run-readonly", "run-stdio", "run-modes", "import-holes",
	"save-load-trees", "interop",
}

// userRootfs copies the tests' root filesystem for the user u: what is root's in
// it is his, what is user 1000's has the subordinate id.
func userRootfs(t *testing.T, u *user.User) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "rootfs")
	if err := openTo(filepath.Dir(to)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", os.Getenv(rootfsEnv), to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	ranges, err := linux.SubordinateIDs("/etc/subuid", u.Username, 0)
	if err != nil || len(ranges) == 0 {
		t.Fatalf("no subordinate ids: %v", err)
	}
	first := strconv.Itoa(int(ranges[0].First) + 999)
	for _, chown := range [][]string{{"-hR", u.Uid + ":" + u.Gid, to}, {"-hR", first + ":" + first, to + "/home/user"}} {
		if out, err := exec.Command("chown", chown...).CombinedOutput(); err != nil {
			t.Fatalf("chown: %v: %s", err, out)
		}
	}
	return to
}

func scriptsForUsers(t *testing.T) []string {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(files, func(path string) bool {
		return slices.Contains(scriptsForRoot, strings.TrimSuffix(filepath.Base(path), ".txtar"))
	})
}

// setupUserScript is setupScript with a strata in front of PATH that gives up
// root, and a directory that is the user's.
func setupUserScript(env *testscript.Env, u *user.User, rootfs string) error {
	if err := setupScript(env); err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	bin := filepath.Join(env.WorkDir, ".bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"strata"} {
		wrapper := fmt.Sprintf("#!/bin/sh\nexec setpriv --reuid %d --regid %d --clear-groups -- %s \"$@\"\n", uid, gid, filepath.Join(os.Getenv(binEnv), name))
		if err := os.WriteFile(filepath.Join(bin, name), []byte(wrapper), 0o755); err != nil {
			return err
		}
	}
	env.Setenv(ordinaryEnv, u.Username)
	env.Setenv("ROOTFS", rootfs)
	env.Setenv("PATH", bin+":"+env.Getenv("PATH"))
	if err := openTo(env.WorkDir); err != nil {
		return err
	}
	return filepath.WalkDir(env.WorkDir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
