// SPDX-License-Identifier: Apache-2.0

// Package leak fails a test that leaves something behind on the machine:
// mounts, processes, namespaces, cgroups, loop devices, descriptors,
// directories, goroutines. It is for tests only.
//
// Tests run beside each other and beside other programs, so something is a
// test's own when it mentions the test's directory: a mount on a path in it, a
// process that was started with such a path or whose root filesystem is made of
// it. What nobody can be blamed for is found by Main, among the descendants of
// the whole test program.
package leak

import (
	"slices"
	"testing"
	"time"
)

// kind is a sort of thing that can be left behind. find lists those of the
// test whose directory is dir, each by a text that names it.
type kind struct {
	name string
	find func(dir string) ([]string, error)
}

// kinds are looked for in this order: what a process holds goes with it.
func kinds() []kind {
	return []kind{
		{"process", processes}, {"network namespace", networks}, {"mount", mounts}, {"cgroup", cgroups},
		{"loop device", loopDevices}, {"descriptor", descriptors}, {"directory", directories},
	}
}

// Check notes what there is now of the test that works in dir and in no other
// directory, and at the test's end reports each thing that has come since.
// Processes that are about to end are waited for, and mounts that were left are
// taken away, or the directory could not be removed. Call it right after the
// directory is made, so that it looks last, but before that is removed.
func Check(t testing.TB, dir string) {
	t.Helper()
	check(t, dir, grace())
}

func check(t testing.TB, dir string, grace time.Duration) {
	t.Helper()
	before := snapshot(t, dir)
	t.Cleanup(func() {
		t.Helper()
		await(dir, time.Now().Add(grace))
		after := snapshot(t, dir)
		for i, k := range kinds() {
			for _, thing := range after[i] {
				if !slices.Contains(before[i], thing) {
					t.Errorf("left behind: %s %s", k.name, thing)
				}
			}
		}
		detach(dir)
	})
}

// snapshot has what there is of each kind.
func snapshot(t testing.TB, dir string) [][]string {
	t.Helper()
	var found [][]string
	for _, k := range kinds() {
		things, err := k.find(dir)
		if err != nil {
			t.Errorf("look for a %s left behind: %v", k.name, err)
		}
		found = append(found, things)
	}
	return found
}
