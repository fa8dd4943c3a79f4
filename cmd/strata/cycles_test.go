// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCycles starts a container, enters it and kills it, again and again: in the
// end there is no more of anything than after the first time, on the machine
// (package leak looks for that) and in the store.
func TestCycles(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	var first []string
	for i := range rounds(60, 1000) {
		cycle(t, p, i)
		p.must("gc", "-q")
		switch found := p.everything(); {
		case i == 0:
			first = found
		case !slices.Equal(first, found):
			t.Fatalf("the store holds more after %d cycles (-first +now):\n%s", i+1, cmp.Diff(first, found))
		}
	}
	p.works()
}

// cycle ends the container in one of the ways there are.
func cycle(t *testing.T, p *place, i int) {
	t.Helper()
	options := []string{"run", "--rm", "--name", "cycle"}
	if i%2 == 0 {
		options = append(options, "--init")
	}
	run := p.start(append(options, "bb", "sh", "-c", "trap 'exit 7' TERM; "+forever)...)
	if !run.stdout.await(regexpReady, run.ended) {
		t.Fatalf("not ready: %q", run.stderr)
	}
	if got := p.must("exec", "cycle", "sh", "-c", "echo x > /made; echo done"); got != "done" {
		t.Errorf("exec: %q", got)
	}
	p.must("exec", "-d", "cycle", "sleep", "1000")
	held := p.start("exec", "cycle", "sh", "-c", "echo ready; exec sleep 1000")
	if !held.stdout.await(regexpReady, held.ended) {
		t.Fatalf("exec is not ready: %q", held.stderr)
	}
	switch i % 3 {
	case 0:
		p.must("rm", "-f", "cycle")
	case 1:
		run.cmd.Process.Signal(os.Interrupt)
		run.cmd.Process.Signal(os.Kill)
	case 2:
		held.kill()
		p.must("rm", "-f", "cycle")
	}
	for _, one := range []*program{run, held} {
		if _, ended := one.wait(); !ended {
			t.Fatalf("%q survives its container", one.cmd.Args)
		}
	}
	awaitNoContainer(t, p)
}

// everything is the names of all there is in the store, but for those in layers
// and in images, which nobody changes.
func (p *place) everything() (names []string) {
	for _, pattern := range []string{"*", "*/*", "containers/*/*"} {
		found, _ := filepath.Glob(filepath.Join(p.root, pattern))
		names = append(names, found...)
	}
	return names
}

// TestKilledExec kills exec at random moments: its command ends with it, and the
// container goes on.
func TestKilledExec(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	run := p.start("run", "--rm", "--name", "held", "bb", "sh", "-c", "sleep 1000 & "+forever)
	if !run.stdout.await(regexpReady, run.ended) {
		t.Fatalf("not ready: %q", run.stderr)
	}
	for range rounds(100, 1000) {
		killAt(t, p.start("exec", "held", "sh", "-c", "exec sleep 4242"), time.Duration(rand.IntN(12_000))*time.Microsecond)
	}
	awaitNone(t, p, "sleep 4242")
	p.must("rm", "-f", "held")
	ends(t, run, 137)
	p.works()
}

// awaitNone waits until no process of the container is left whose command is this:
// the kernel ends them when it comes to it.
func awaitNone(t *testing.T, p *place, command string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		listed := p.must("exec", "held", "ps", "-o", "args")
		if !strings.Contains(listed, command) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("commands whose exec was killed still run:\n%s", listed)
		}
	}
}
