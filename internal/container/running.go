// SPDX-License-Identifier: Apache-2.0

package container

import (
	"time"
)

// A StoppedError is a container that does not run and was to.
type StoppedError struct{ Name string }

func (e *StoppedError) Error() string {
	return "container " + e.Name + " is not running; start it first (strata start -a " + e.Name + ")"
}

// Running returns the container called name while it runs: its State is that of
// a process that is there. One that has just begun to run is waited for, since it
// is noted a moment later. A *StoppedError when it does not run, an *UnknownError
// when there is none.
func (c *Containers) Running(name string) (Entry, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		e, err := c.Entry(name)
		if err != nil || e.State.Alive() {
			return e, err
		}
		held, err := c.held(e.Record.ID)
		if err != nil || !held || time.Now().After(deadline) {
			return e, &StoppedError{Name: e.Record.DisplayName()}
		}
	}
}
