// SPDX-License-Identifier: Apache-2.0

package leak

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// reapOrphans reaps, until done is closed, what was started in a pid namespace
// from outside and has lost its parent to a test: having made itself their
// parent, a test program is to do what the host's process 1 does. A pid namespace
// does not end before all in it are reaped, and so its container would not.
//
// What the tests themselves have started is in our pid namespace and is left to
// them. Such a zombie is looked at once: there are hundreds of those that nobody
// waits for.
func reapOrphans(done <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var left map[int]bool
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			left = reapInside(left)
		}
	}
}

// reapInside returns the zombies that it has not reaped; known are those of the
// last time.
func reapInside(known map[int]bool) (left map[int]bool) {
	left = map[int]bool{}
	for _, pid := range children() {
		switch {
		case known[pid]:
			left[pid] = true
		case status(pid, 0) != "Z":
		case isInside(pid):
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		default:
			left[pid] = true
		}
	}
	return left
}

// children are those of all threads (proc_tid_children(5)).
func children() (pids []int) {
	files, _ := filepath.Glob("/proc/self/task/*/children")
	for _, f := range files {
		data, _ := os.ReadFile(f)
		for word := range strings.FieldsSeq(string(data)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// isInside reports whether pid is in a pid namespace beneath ours.
func isInside(pid int) bool {
	data, _ := os.ReadFile(proc(pid, "status"))
	for line := range strings.Lines(string(data)) {
		if ids, found := strings.CutPrefix(line, "NSpid:"); found {
			return len(strings.Fields(ids)) > 1
		}
	}
	return false
}
