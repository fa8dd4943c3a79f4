// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"strata/internal/oci"
	"strata/internal/store"
)

// killedAt runs a role in a process that is killed as it enters the n-th of one
// system call, and tells whether it came to that.
func killedAt(t *testing.T, call string, n int, role string, args ...string) bool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inject := fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, n)
	cmd := exec.Command("strace", append([]string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", inject, self}, args...)...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GOMAXPROCS=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := cmd.Output()
	if cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
		return true // strace dies of the signal that its child died of
	}
	if err != nil || len(out) > 0 {
		t.Fatalf("%s at %s %d: %v: %s", role, call, n, err, out)
	}
	return false
}

// Wherever Seal is killed, the upperdir is whole in its place or the layer is
// whole in the store, and whoever comes next can go on.
func TestSealKilledAnywhere(t *testing.T) {
	if out, err := exec.Command("strace", "-qq", "-e", "trace=none", "true").CombinedOutput(); err != nil {
		t.Skipf("needs strace: %v: %s", err, out)
	}
	kills := 0
	for _, call := range []string{"renameat2", "renameat", "mkdirat", "fsync", "syncfs", "flock", "unlinkat"} {
		for n := 1; ; n++ {
			s := newStore(t)
			box, inodes := newUpper(t, "hello")
			killed := killedAt(t, call, n, "seal once", s.Path(), box, "upper")
			t.Logf("%s %d: killed %v", call, n, killed)
			checkSeal(t, s, box, inodes)
			if !killed {
				break
			}
			kills++
		}
	}
	if kills < 10 {
		t.Errorf("only %d kills", kills)
	}
}

func checkSeal(t *testing.T, s *store.Store, box string, inodes map[string]uint64) {
	t.Helper()
	layers, err := s.Layers()
	want(t, "layers", err, nil)
	if _, err := os.Stat(box + "/upper"); err == nil {
		want(t, "upperdir and layers", len(layers), 0)
		want(t, "same upperdir", maps.Equal(inodesOf(t, box+"/upper"), inodes), true)
		l, err := sealOnce(s, box, "upper")
		want(t, "seal again", err, nil)
		layers = append(layers, l)
	}
	if len(layers) != 1 {
		t.Fatalf("%d layers", len(layers))
	}
	id := layers[0].DiffID
	want(t, "verify", s.Verify(context.Background(), id), nil)
	want(t, "same files", maps.Equal(inodesOf(t, s.Path()+"/layers/"+id.Hex()+"/tree"), inodes), true)
	got, err := s.Collect(context.Background(), func() (map[oci.Digest]bool, error) { return map[oci.Digest]bool{id: true}, nil })
	want(t, "collect", fmt.Sprint(got.Layers, err), "[] <nil>")
	_, err = s.Reap(context.Background())
	want(t, "reap", err, nil)
	clean(t, s)
}
