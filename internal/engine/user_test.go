// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const (
	goodPasswd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1001:A User:/home/user:/bin/sh\n"
	goodGroup  = "root:x:0:\nown:x:1001:\nwheel:x:10:root,user\naudio:x:29:user\n"
)

// newAccounts makes a root with the two files of accounts; "" for none.
func newAccounts(t *testing.T, passwd, group string) (*os.File, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"passwd": passwd, "group": group} {
		if content == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

func TestLookupUser(t *testing.T) {
	root, _ := newAccounts(t, goodPasswd, goodGroup)
	for name, want := range map[string]user{
		"":           {0, 0, []uint32{10}, "/root"},
		"root":       {0, 0, []uint32{10}, "/root"},
		"user":       {1000, 1001, []uint32{10, 29}, "/home/user"},
		"1000":       {1000, 1001, []uint32{10, 29}, "/home/user"},
		"user:wheel": {1000, 10, nil, "/home/user"},
		"user:4711":  {1000, 4711, nil, "/home/user"},
		"4711":       {4711, 0, nil, "/"},
		"4711:4712":  {4711, 4712, nil, "/"},
		"2147483647": {2147483647, 0, nil, "/"},
	} {
		got, err := lookupUser(root, name)
		if len(got.groups) == 0 {
			got.groups = nil
		}
		if err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(user{})) {
			t.Errorf("user %q: %+v, %v, want %+v", name, got, err, want)
		}
	}
	for _, name := range []string{"nobody", "user:nobody", "-1", "4294967296", "2147483648", "0x10", "user:", "user:-1", "us er", "user:wheel:x"} {
		if got, err := lookupUser(root, name); err == nil && (got.uid > 2147483647 || strings.HasPrefix(name, "-") || strings.Contains(name, "nobody") || strings.HasPrefix(name, "42")) {
			t.Errorf("user %q: %+v", name, got)
		}
	}
	bare, _ := newAccounts(t, "", "")
	if got, err := lookupUser(bare, ""); err != nil || got.uid != 0 || got.home != "/" {
		t.Errorf("root without accounts: %+v, %v", got, err)
	}
	if got, err := lookupUser(bare, "7:8"); err != nil || got.uid != 7 || got.gid != 8 {
		t.Errorf("numbers without accounts: %+v, %v", got, err)
	}
	if _, err := lookupUser(bare, "user"); err == nil {
		t.Error("a name without accounts is found")
	}
}

// TestHostileAccounts checks what an image may have in place of its files of
// accounts (CVE-2024-9676). None is waited for, read from the host or read
// without end; a bad line is no user.
func TestHostileAccounts(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("outsider:x:5:5::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		make  func(path string) error
		fails bool
	}{
		"a link outside":         {func(path string) error { return os.Symlink(outside, path) }, false},
		"a link outside by dots": {func(path string) error { return os.Symlink("../../../../../../.."+outside, path) }, false},
		"a link to itself":       {func(path string) error { return os.Symlink("passwd", path) }, true},
		"a magic link":           {func(path string) error { return os.Symlink("/proc/self/environ", path) }, false},
		"a pipe":                 {func(path string) error { return unix.Mkfifo(path, 0o644) }, true},
		"a directory":            {func(path string) error { return os.Mkdir(path, 0o755) }, true},
		"a device":               {func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) }, true},
		"a terminal":             {func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(5, 0))) }, true},
		"a huge file": {func(path string) error {
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				return err
			}
			return os.Truncate(path, 1<<40)
		}, true},
		"one endless line": {func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("x", 9<<20)), 0o644) }, true},
		"no text": {func(path string) error {
			return os.WriteFile(path, []byte("\x00\xff:::\n\n:\n-1:-1:-1:-1:-1\nroot\n"), 0o644)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			root, dir := newAccounts(t, "", goodGroup)
			if err := c.make(filepath.Join(dir, "etc/passwd")); err != nil {
				t.Skip(err)
			}
			if _, err := lookupUser(root, "outsider"); err == nil {
				t.Error("a user of the host's file is found")
			}
			got, err := lookupUser(root, "")
			if c.fails != (err != nil) || err == nil && got.uid != 0 {
				t.Errorf("root: %+v, %v", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), "/etc/passwd of the image") && !strings.Contains(err.Error(), "too long") {
				t.Errorf("the error does not name the file: %v", err)
			}
		})
	}
}

// TestHostileIDs checks ids in the image's files that are none: -1 would leave a
// process what it is, which is root.
func TestHostileIDs(t *testing.T) {
	for _, line := range []string{"evil:x:-1:0::/:", "evil:x:0:-1::/:", "evil:x:4294967295:0::/:", "evil:x:4294967296:0::/:", "evil:x:5:4294967296::/:"} {
		root, _ := newAccounts(t, line+"\n", goodGroup)
		if got, err := lookupUser(root, "evil"); err == nil {
			t.Errorf("%s: %+v", line, got)
		}
	}
	root, _ := newAccounts(t, "evil:x:5:5::/:\n", "g:x:4294967296:evil\n")
	if got, err := lookupUser(root, "evil"); err == nil {
		t.Errorf("a group: %+v", got)
	}
}
