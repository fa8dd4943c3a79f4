// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ownBinary copies strata and its companion for one test, whose place then runs
// these, and returns a function that fails it if the binary has changed.
func ownBinary(t *testing.T, p *place) (unchanged func()) {
	t.Helper()
	dir := filepath.Join(p.dir, "bin")
	if err := os.CopyFS(dir, os.DirFS(os.Getenv(binEnv))); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "strata")
	before, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	p.bin = dir
	return func() {
		t.Helper()
		if after, err := os.ReadFile(binary); err != nil || !bytes.Equal(before, after) {
			t.Fatalf("the binary has changed (%d bytes, was %d): %v", len(after), len(before), err)
		}
	}
}

// hostileImage makes the image "probe" with names for whoever starts the
// container.
func hostileImage(t *testing.T, p *place) {
	t.Helper()
	rootfs := filepath.Join(p.dir, "rootfs")
	probeRootfs(t, rootfs)
	for name, script := range map[string]string{"script": "#!/proc/self/exe version", "nested": "#!/script"} {
		if err := os.WriteFile(filepath.Join(rootfs, name), []byte(script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"link": "/proc/self/exe", "first": "/proc/1/exe", "thread": "/proc/thread-self/exe"} {
		if err := os.Symlink(to, filepath.Join(rootfs, name)); err != nil {
			t.Fatal(err)
		}
	}
	p.must("import", rootfs, "probe")
}

// TestBinaryOverwritten runs containers that try to reach and overwrite the
// program that starts them (CVE-2019-5736): by executing it, by each name there
// is for it, and from process 2 while process 1 may still be us.
func TestBinaryOverwritten(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	unchanged := ownBinary(t, p)
	hostileImage(t, p)
	ways := [][]string{
		{"/probe", "overwrite"}, {"/proc/self/exe", "version"}, {"/link", "version"}, {"/first", "version"},
		{"/thread", "version"}, {"/script"}, {"/nested"}, {"/proc/self/fd/../exe", "version"},
	}
	for i := range rounds(64, 10_000) {
		args := []string{"run", "--rm"}
		if i/len(ways)%2 == 0 {
			args = append(args, "--init")
		}
		way := ways[i%len(ways)]
		r := p.try(append(append(args, "probe"), way...)...)
		if r.stdout != "" || r.code == 0 && way[0] != "/probe" {
			t.Errorf("strata %q %q: %+v", args, way, r)
		}
		unchanged()
		if t.Failed() {
			return
		}
	}
}

// TestBinaryOverwrittenByExec enters a container, and its pid namespace, in which
// a process looks for new programs and overwrites what it can (CVE-2019-5736).
func TestBinaryOverwrittenByExec(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	hostileImage(t, p)
	watching := p.start("run", "--rm", "--name", "watching", "probe", "/probe", "watch")
	if !watching.stdout.await(regexpReady, watching.ended) {
		t.Fatalf("not ready: %q", watching.stderr)
	}
	unchanged := ownBinary(t, p) // another file than the one that runs, as after an upgrade
	enter, join := []string{"exec", "watching"}, []string{"run", "--rm", "--pid", "container:watching", "probe"}
	ways := [][]string{
		append(enter, "/script"), append(enter, "/link", "version"), append(enter, "/proc/self/exe", "version"),
		append(enter, "/nested"), append(enter, "/probe", "euid"), {"exec", "-d", "watching", "/script"},
		append(join, "/script"), append(join, "/link", "version"),
	}
	for i := range rounds(96, 10_000) {
		way := ways[i%len(ways)]
		if r := p.try(way...); strings.Contains(r.stdout, "strata") {
			t.Errorf("strata %q: %+v", way, r)
		}
		unchanged()
		if reached := watching.stdout.String(); reached != "ready\n" || t.Failed() {
			t.Fatalf("after %d rounds reached: %.200q", i, strings.TrimPrefix(reached, "ready\n"))
		}
	}
	p.must("rm", "-f", "watching")
	ends(t, watching, 137)
	p.works()
}
