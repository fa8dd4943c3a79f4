// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strata/internal/leak"
)

// The tests run the real binaries, built once. What they share is made in
// TestMain and only read afterwards.
const (
	binEnv    = "STRATA_TEST_BIN"    // where strata and strata-remote are; set by whoever has built them already
	rootfsEnv = "STRATA_TEST_ROOTFS" // a root filesystem of busybox, and beside it the same with .tar
)

func TestMain(m *testing.M) {
	if os.Getenv(jobEnv) != "" {
		os.Exit(becomeShell(os.Args[1:]))
	}
	dir, err := os.MkdirTemp("", "strata-test-")
	if err == nil {
		err = prepare(dir)
	}
	code := 1
	if err == nil {
		code = leak.Main(m)
	}
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// prepare builds the binaries and a root filesystem in dir, and clears the
// environment of what would choose another store.
func prepare(dir string) error {
	os.Unsetenv("STRATA_ROOT")
	os.Unsetenv("SOURCE_DATE_EPOCH")
	if err := os.Chmod(dir, 0o755); err != nil { // an ordinary user runs them too
		return err
	}
	if err := blockRegistries(dir); err != nil {
		return err
	}
	rootfs := filepath.Join(dir, "rootfs")
	os.Setenv(rootfsEnv, rootfs)
	if os.Getenv(binEnv) == "" {
		if err := build(filepath.Join(dir, "bin")); err != nil {
			return err
		}
	}
	os.Setenv("PATH", os.Getenv(binEnv)+":"+os.Getenv("PATH"))
	if err := errors.Join(makeRootfs(rootfs), wholeSeconds(rootfs)); err != nil {
		return err
	}
	return archive(rootfs, rootfs+".tar")
}

func build(bin string) error {
	os.Setenv(binEnv, bin)
	build := exec.Command("go", "build", "-o", bin+"/", ".", "../strata-remote", "./testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// applets are what the tests use of busybox inside a container.
const applets = `[ cat chgrp chmod chown cmp cp cut date dd df du echo env false find grep head hostname id ip kill ln
	ls mkdir mkfifo mknod mount mv ps pwd readlink rm rmdir sed sh sleep sort stat stty sync tail tar tee test
	touch tr true tty umount uname wc which`

// makeRootfs makes a small root filesystem. Without a static busybox there is
// an empty directory, and tests that run something skip.
func makeRootfs(dir string) error {
	for _, sub := range []string{"bin", "dev", "etc", "home/user", "proc", "root", "sys", "tmp", "usr/share/doc", "var/empty"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"etc/passwd":         "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:A User:/home/user:/bin/sh\n",
		"etc/group":          "root:x:0:\nuser:x:1000:\nwheel:x:10:user\n",
		"etc/profile":        "export PS1='$ '\n",
		"etc/hostname":       "image\n",
		"usr/share/doc/text": strings.Repeat("a line of text\n", 1000),
		"bin/not-executable": "#!/bin/sh\n",
		"bin/bad-loader":     "#!/no/such/interpreter\n",
		"bin/bad-format":     "this is no program\n",
	} {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(name, "bin/bad") {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
			return err
		}
	}
	if err := errors.Join(os.Chmod(filepath.Join(dir, "tmp"), 0o1777|os.ModeSticky), os.Chown(filepath.Join(dir, "home/user"), 1000, 1000)); err != nil && os.Geteuid() == 0 {
		return err
	}
	return installBusybox(filepath.Join(dir, "bin"))
}

// installBusybox copies the host's busybox, which must be static.
func installBusybox(dir string) error {
	data, err := os.ReadFile("/bin/busybox")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "busybox"), data, 0o755)
	}
	for name := range strings.FieldsSeq(applets) {
		err = errors.Join(err, os.Symlink("busybox", filepath.Join(dir, name)))
	}
	return err
}

// wholeSeconds takes the fractions from the times of files, which an archive
// does not have.
func wholeSeconds(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, time.Time{}, time.Now().Truncate(time.Second))
	})
}

// archive writes dir as a tar archive with archive/tar alone, not with ours.
func archive(dir, path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	return errors.Join(w.AddFS(os.DirFS(dir)), w.Close(), f.Close())
}

// needs skips a test, aloud, where something it needs is not to be had.
func needs(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is missing (make deps installs it)", p)
		}
	}
}

// needsContainers skips where containers cannot be run at all.
func needsContainers(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("containers need root")
	}
	if _, err := os.Stat(filepath.Join(os.Getenv(rootfsEnv), "bin/busybox")); err != nil {
		t.Skip("a static /bin/busybox is missing (make deps installs it)")
	}
}
