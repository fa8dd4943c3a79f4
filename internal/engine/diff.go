// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"strata/internal/overlay"
)

// Diff calls f for each path that the container changed, in path order. The
// container may be running. The change is good until f returns.
func (e *Engine) Diff(name string, f func(*overlay.Change) error) error {
	t, err := e.openTree(name)
	if err != nil {
		return err
	}
	defer t.close()
	for change, err := range overlay.Changes(t.upper, t.lower, e.marks) {
		if err == nil {
			err = f(&change)
		}
		if err != nil {
			return fmt.Errorf("diff container %s: %w", t.record.DisplayName(), err)
		}
	}
	return nil
}
