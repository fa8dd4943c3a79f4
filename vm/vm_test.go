// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// cpio(1) reads what archive writes.
func TestArchive(t *testing.T) {
	if _, err := exec.LookPath("busybox"); err != nil {
		t.Skip("busybox is missing (make deps installs it)")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := errors.Join(os.WriteFile(file, []byte("content"), 0o600), os.Chmod(file, 0o751)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	a := newArchive(&b)
	a.file("a/b/file", file)
	a.text("a/text", 0o640, "x")
	a.text("a/text", 0o600, "the second of a name is left out")
	a.link("link", "a/text")
	a.tree("none", filepath.Join(dir, "none"))
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("busybox", "cpio", "-i")
	cmd.Dir, cmd.Stdin = t.TempDir(), &b
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	for name, want := range map[string]string{"a/b/file": "content", "a/text": "x", "link": "x"} {
		if got, err := os.ReadFile(filepath.Join(cmd.Dir, name)); string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	var stat unix.Stat_t
	if err := unix.Stat(filepath.Join(cmd.Dir, "a/b/file"), &stat); err != nil || stat.Mode != unix.S_IFREG|0o751 {
		t.Errorf("mode %o, %v", stat.Mode, err)
	}
}

// What must make a run fail does.
func TestVerdict(t *testing.T) {
	const (
		pass    = `{"Action":"pass","Package":"strata/p","Test":"T"}` + "\n"
		skip    = `{"Action":"output","Package":"strata/p","Test":"S","Output":"p_test.go:1: no reason\n"}` + "\n" + `{"Action":"skip","Package":"strata/p","Test":"S"}` + "\n"
		allowed = `{"Action":"skip","Package":"strata/p","Test":"M"}` + "\n"
		fail    = `{"Action":"fail","Package":"strata/p","Test":"F"}` + "\n"
		end     = `{"Action":"pass","Package":"strata/p"}` + "\n"
		endFail = `{"Action":"fail","Package":"strata/p"}` + "\n"
		other   = `{"Action":"output","Package":"strata/q","Test":"T","Output":"beside\n"}` + "\n"
	)
	for name, c := range map[string]struct{ results, console, want string }{
		"passes":       {pass + other + allowed + end, "Linux version", ""},
		"a test fails": {pass + fail + endFail, "", "failed: strata/p"},
		"left behind":  {pass + endFail, "", "failed: strata/p"},
		"skipped":      {skip + end, "", "failed: strata/p"},
		"no end":       {pass, "", "not run to the end: strata/p"},
		"nothing":      {"", "", "not run to the end: strata/p"},
		"no event":     {"text\n" + pass + end, "", `not a result: "text"`},
		"oops":         {pass + end, "[ 1.0] BUG: kernel NULL pointer dereference\n", "the kernel says: [ 1.0] BUG"},
		"panic":        {pass + end, "[ 1.0] Kernel panic - not syncing\n", "the kernel says: [ 1.0] Kernel panic"},
		"init":         {pass + end, "init: exit code 2\n", "the kernel says: init: exit code 2"},
	} {
		var report bytes.Buffer
		r := newResults(&report, false, map[string]string{"strata/p M": "it cannot"})
		for i := range len(c.results) { // cut anywhere
			r.Write([]byte(c.results[i : i+1]))
		}
		err := verdict(r, []suite{{dir: "p"}}, c.console)
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q; report:\n%s", name, err, c.want, report.String())
		}
		if name == "skipped" && !strings.Contains(report.String(), "no reason") {
			t.Errorf("the reason is not shown:\n%s", report.String())
		}
	}
}

// A kernel that is there is not downloaded again, and half of one is none.
func TestFindKernel(t *testing.T) {
	cache := t.TempDir()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := fetchKernel(ended, cache); err == nil {
		t.Error("a kernel out of nothing")
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) > 0 {
		t.Errorf("left after an error: %v, %v", left, err)
	}
	for _, dir := range []string{"kernel/boot", "kernel/lib/modules/6.1/kernel"} {
		if err := os.MkdirAll(filepath.Join(cache, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := findKernel(cache); err == nil {
		t.Error("half of a kernel is taken for one")
	}
	image := filepath.Join(cache, "kernel/boot/vmlinuz-6.1")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := fetchKernel(ended, cache); err != nil || k.image != image {
		t.Errorf("%+v, %v", k, err)
	}
}
