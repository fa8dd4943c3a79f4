// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// version measures what any command pays, and what the packages linked in cost.
func (b *bench) version() error {
	const hello, strata = "Go hello world", "strata version"
	results, err := measure(b.rounds(400), []contender{
		{name: hello, run: b.fresh(b.bin + "/hello")},
		{name: strata, run: b.fresh(b.strataCommand("version")...)},
		{name: emptyName, run: b.fresh(b.bin + "/empty")},
	}, nil)
	if err != nil {
		return err
	}
	ground := find(results, hello).times.median()
	table{
		title: "version: a command that does next to nothing", results: results, floor: ground,
		targets: map[string]time.Duration{strata: scale(ground, 1.2)},
		comment: "All are fresh processes, linked with -s -w.",
	}.print()
	return b.printInits()
}

// slowInit is the most that a package's initialisation may take.
const slowInit = 100 * time.Microsecond

// printInits lists the packages whose initialisation takes longest on the way of
// `strata run`, by the runtime's own account.
func (b *bench) printInits() error {
	command := b.strataCommand("run", "--rm", "--network", "none", image, "/bin/true")
	best := map[string]time.Duration{}
	for range b.rounds(20) {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		trace, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("trace the initialisation: %w: %s", err, trace)
		}
		for line := range strings.Lines(string(trace)) {
			var pkg, at string
			var ms float64
			if n, _ := fmt.Sscanf(line, "init %s @%s ms, %f ms clock", &pkg, &at, &ms); n == 3 {
				took := time.Duration(ms * 1e6)
				if old, ok := best[pkg]; !ok || took < old {
					best[pkg] = took
				}
			}
		}
	}
	var total time.Duration
	var slow []string
	for pkg, took := range best {
		if total += took; took > slowInit {
			slow = append(slow, pkg+" "+milliseconds(took)+" ms")
		}
	}
	fmt.Printf("\n%d packages of strata run have an initialisation; together %s ms; over 0.1 ms: %s (least of %d runs)\n",
		len(best), milliseconds(total), strings.Join(append(slow, "none")[:max(1, len(slow))], ", "), b.rounds(20))
	return nil
}
