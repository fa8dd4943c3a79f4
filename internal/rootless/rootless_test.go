// SPDX-License-Identifier: Apache-2.0

package rootless

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// TestRefused checks the advice for each setting that forbids user namespaces,
// as files beneath a directory in place of /.
func TestRefused(t *testing.T) {
	all := map[string]string{"user/max_user_namespaces": "1000", "kernel/unprivileged_userns_clone": "1", "kernel/apparmor_restrict_unprivileged_userns": "0"}
	cases := map[string]struct {
		file, value string
		err         error
		want        string
	}{
		"none permitted": {"user/max_user_namespaces", "0", unix.ENOSPC, "sysctl user.max_user_namespaces="},
		"debian's":       {"kernel/unprivileged_userns_clone", "0", unix.EPERM, "sysctl kernel.unprivileged_userns_clone=1"},
		"ubuntu's":       {"kernel/apparmor_restrict_unprivileged_userns", "1", unix.EPERM, "AppArmor"},
		"too many":       {"", "", unix.ENOSPC, "as many user namespaces as user.max_user_namespaces allows"},
		"something else": {"", "", unix.EPERM, "seccomp filter or a chroot"},
	}
	for name, c := range cases {
		root := t.TempDir() + "/"
		for file, value := range all {
			if file == c.file {
				value = c.value
			}
			path := filepath.Join(root, "proc/sys", file)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(value+"\n"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		err := refused(root, c.err)
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, want %q in it", name, err, c.want)
		}
	}
}

func TestMissing(t *testing.T) {
	some := []linux.IDRange{{First: 100000, Size: 65536}}
	installed := func(string) (string, error) { return "", nil }
	cases := map[string]struct {
		users, groups []linux.IDRange
		look          func(string) (string, error)
		want          string
	}{
		"nothing":      {some, some, installed, ""},
		"the programs": {some, some, func(string) (string, error) { return "", os.ErrNotExist }, "newuidmap is not in PATH"},
		"users":        {nil, some, installed, "usermod --add-subuids 100000-165535 joe"},
		"groups":       {some, nil, installed, "usermod --add-subgids 100000-165535 joe"},
	}
	for name, c := range cases {
		if got := missing("joe", c.users, c.groups, c.look); got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
			t.Errorf("%s is missing: got %q, want %q in it", name, got, c.want)
		}
	}
}

func TestUserName(t *testing.T) {
	if got := userName(0); got != "root" {
		t.Errorf("user 0 is %q", got)
	}
	if got := userName(4000000000); got != "4000000000" {
		t.Errorf("a user without a name is %q", got)
	}
}

// TestOpenLock checks what of a directory becomes a store, and that nothing else
// is touched.
func TestOpenLock(t *testing.T) {
	cases := map[string]struct {
		make         func(root string) error
		locked, made bool
	}{
		"nothing":        {func(string) error { return nil }, true, true},
		"empty":          {func(root string) error { return os.MkdirAll(root, 0o700) }, true, true},
		"a store":        {func(root string) error { return makeFile(root, formatName) }, true, false},
		"begun":          {func(root string) error { return makeFile(root, LockName) }, true, true},
		"something else": {func(root string) error { return makeFile(root, "file") }, false, false},
	}
	for name, c := range cases {
		root := filepath.Join(t.TempDir(), "a/b")
		if err := c.make(root); err != nil {
			t.Fatal(err)
		}
		lock, made, err := openLock(root)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, err = os.Stat(filepath.Join(root, LockName))
		if locked := lock.file != nil; locked != c.locked || made != c.made || (err == nil) != c.locked {
			t.Errorf("%s: locked %v, made %v, file %v; want %v, %v", name, locked, made, err, c.locked, c.made)
		}
		lock.Close()
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if lock, _, err := openLock(filepath.Join(file, "x")); err == nil {
		t.Errorf("a store beneath a file: %v", lock)
	}
}

func makeFile(dir, name string) error {
	return errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, name), nil, 0o600))
}

// TestHolder checks that the lock's holder is found while it holds it, and not
// entered when it is in the caller's own namespace.
func TestHolder(t *testing.T) {
	root := t.TempDir()
	lock, _, err := openLock(root)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if got := lock.holder(); got != 0 {
		t.Errorf("nobody's lock is held by %d", got)
	}
	if ns := lock.shared(); ns != nil {
		t.Errorf("nobody's namespace: %v", ns)
	}
}
