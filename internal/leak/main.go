// SPDX-License-Identifier: Apache-2.0

package leak

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// Main runs the tests of a package, for its TestMain, and returns the exit
// code. A process whose parent dies becomes a child of the test program, so
// that it is found however it was cut off.
func Main(m *testing.M) int {
	if err := adopt(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	done := make(chan struct{})
	defer close(done)
	go reapOrphans(done)
	goroutines := goleak.IgnoreCurrent()
	code := m.Run()
	for _, left := range strays(goroutines) {
		fmt.Fprintln(os.Stderr, "left behind:", left)
		code = max(code, 1)
	}
	return code
}

// adopt makes this process the parent of its descendants' orphans
// (PR_SET_CHILD_SUBREAPER(2const)).
func adopt() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// strays are the descendants that do not end and the goroutines that are left.
func strays(ignore ...goleak.Option) []string {
	deadline := time.Now().Add(grace())
	for _, pid := range descendants() {
		awaitOne(pid, deadline)
	}
	left, _ := describeAll(descendants())
	for i := range left {
		left[i] = "process " + left[i]
	}
	if err := goleak.Find(ignore...); err != nil {
		left = append(left, err.Error())
	}
	return left
}

// Goroutines fails a test that is not run in parallel with others and leaves
// goroutines running.
func Goroutines(t testing.TB) {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		t.Helper()
		if err := goleak.Find(ignore); err != nil {
			t.Errorf("left behind: %v", err)
		}
	})
}
