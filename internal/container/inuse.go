// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"os"
	"strings"
)

// InUse reports whether a process has the lock of a container whose ID begins
// with prefix.
func (c *Containers) InUse(prefix string) (bool, error) {
	ids, err := c.ids()
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if !strings.HasPrefix(id, prefix) {
			continue
		}
		held, err := c.held(id)
		if held || err != nil && !errors.Is(err, os.ErrNotExist) {
			return held, err
		}
	}
	return false, nil
}
