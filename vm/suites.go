// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// A suite is one package's tests.
type suite struct {
	dir       string   // of the package, from the module's root
	arguments []string // of its test program, besides -test.v
}

// suites are the tests that another kernel, cgroup v2 or another root filesystem
// can make a difference to. What only reads and writes files is left out: the
// machine has no KVM and is ten times slower.
func suites() []suite {
	short := []string{"-test.short", "-test.timeout=4m"}
	return []suite{
		{"internal/linux", short},
		{"internal/mount", short},
		{"internal/spawn", short},
		{"internal/overlay", short},
		{"internal/leak", short},
		{"internal/sandbox", short},
		{"internal/engine", short},
		{"cmd/strata", short},
	}
}

func (s suite) line() string { return s.dir + " " + strings.Join(s.arguments, " ") }

// mayskip has the tests that cannot run there, and why. Any other test that is
// skipped fails: it would have run on a machine that has all that was asked for.
func maySkip() map[string]string {
	return map[string]string{}
}
