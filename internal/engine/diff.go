// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"strata/internal/linux"
	"strata/internal/overlay"
)

// Diff calls f for each path that the container changed, in path order. The
// container may be running. The change is good until f returns.
func (e *Engine) Diff(name string, f func(*overlay.Change) error) error {
	entry, err := e.containers.Entry(name)
	if err != nil {
		return err
	}
	lower, err := e.openLowers(&entry.Record)
	if err != nil {
		return err
	}
	defer lower.close()
	upper, err := linux.OpenDir(entry.Path + "/upper")
	if err != nil {
		return err
	}
	defer upper.Close()
	for change, err := range overlay.Changes(upper, lower, e.marks) {
		if err == nil {
			err = f(&change)
		}
		if err != nil {
			return fmt.Errorf("diff container %s: %w", entry.Record.DisplayName(), err)
		}
	}
	return nil
}
