// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
)

// TestUnrecorded runs a container with --rm whose record finds no room. It is
// listed, and ended by rm -f with its name or the beginning of its ID; only what
// needs the record is refused, in one line.
func TestUnrecorded(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	mountSmall(t, p.root, 12)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	free := fill(t, p.root+"/ballast", 0)
	for _, name := range []string{"", "full"} {
		args := []string{"run", "--rm", "bb", "sh", "-c", "echo ready; exec sleep 1000"}
		if name != "" {
			args = append([]string{"run", "--name", name}, args[1:]...)
		}
		run := p.start(args...)
		if !run.stdout.await(regexpReady, run.ended) {
			t.Fatalf("not ready: %q", run.stderr)
		}
		id := p.must("ps", "-q")
		if len(id) != 12 {
			t.Fatalf("ps -q: %q", id)
		}
		if got := p.must("ps"); !strings.Contains(got, "Up ") || !strings.Contains(got, name) {
			t.Errorf("ps: %q", got)
		}
		for command, want := range map[string]string{"inspect": id, "diff": id, "export": id, "rm": "--force"} {
			if r := p.try(command, id); r.code != 1 || !strings.Contains(r.stderr, want) || notOneLine(r.stderr) != "" {
				t.Errorf("%s: %+v", command, r)
			}
		}
		if name == "" {
			name = id[:6]
		}
		p.must("rm", "-f", name)
		if code, ended := run.wait(); !ended || code == 0 {
			t.Errorf("run: exit code %d, ended %v", code, ended)
		}
		awaitNoContainer(t, p)
		if left := p.containers(); len(left) > 0 {
			t.Errorf("containers left: %q", left)
		}
	}
	free()
	p.must("run", "--rm", "--name", "full", "bb", "true")
	p.works()
}
