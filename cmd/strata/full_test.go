// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a filesystem of a few MiB, detached at the test's end.
func mountSmall(t *testing.T, dir string, mebibytes int) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("strata-test", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", mebibytes)); err != nil {
		t.Skip("nothing can be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("the filesystem of the store is busy: %v", err)
			unix.Unmount(dir, unix.MNT_DETACH)
		}
	})
}

// TestFullDisk fills the store's filesystem in the middle of import, of a
// container's work and of commit. Each says so in one line, leaves nothing
// half-done, and once there is space the same command succeeds.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	mountSmall(t, p.root, 12)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	p.must("create", "--name", "con", "bb", "sh", "-c", "for i in $(seq 300); do echo $i > /file$i; done")
	p.must("start", "-a", "con")

	free := fill(t, p.root+"/ballast", 0)
	message := p.fails(1, "import", os.Getenv(rootfsEnv), "more")
	for _, want := range []string{"no space left", "strata gc"} {
		if !strings.Contains(message, want) {
			t.Errorf("import: %q does not have %q", message, want)
		}
	}
	message = p.fails(1, "commit", "con", "img")
	if !strings.Contains(message, "no space left") {
		t.Errorf("commit: %q", message)
	}
	if r := p.try("run", "--rm", "bb", "sh", "-c", "echo x > /x"); r.code == 0 || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("a write on a full disk: %+v", r)
	}
	p.fails(1, "create", "bb", "true")
	if r := p.try("images", "-q"); r.code != 0 || strings.Count(r.stdout, "\n") != 1 {
		t.Errorf("images on a full disk: %+v", r)
	}
	for _, looking := range []string{"ps -a", "df", "diff con", "inspect con", "info"} {
		if r := p.try(strings.Fields(looking)...); r.code != 0 {
			t.Errorf("strata %s on a full disk: %+v", looking, r)
		}
	}
	free()

	p.must("commit", "con", "img")
	if got := p.must("run", "--rm", "img", "cat", "/file300"); got != "300" {
		t.Errorf("after the commit: %q", got)
	}
	p.must("rm", "con")
	p.must("rmi", "img")
	p.must("rmi", "bb")
	p.must("gc", "-q")
	p.works()
}

// TestFullDiskAtEachPoint leaves a little more space each time.
func TestFullDiskAtEachPoint(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	mountSmall(t, p.root, 12)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	succeeded := false
	for left := int64(0); left < 4<<20; left += 192 << 10 {
		free := fill(t, p.root+"/ballast", left)
		p.must("gc", "-q")
		r := p.try("import", "--message", fmt.Sprint(left), os.Getenv(rootfsEnv)+".tar", "more")
		if r.code == 0 {
			succeeded = true
		} else {
			p.failed(1, fmt.Sprintf("import with %d bytes left", left), r)
		}
		free()
	}
	if !succeeded {
		t.Error("no import succeeded with 4 MiB left")
	}
	p.must("gc", "-q")
	p.works()
}

// fill takes all space of the filesystem but left bytes, and returns what gives
// it back.
func fill(t *testing.T, path string, left int64) func() {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	for err = nil; err == nil; { // and the last bytes
		_, err = f.Write(block[:512])
	}
	if left > 0 {
		size, _ := f.Seek(0, 2)
		if err := f.Truncate(max(0, size-left)); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
