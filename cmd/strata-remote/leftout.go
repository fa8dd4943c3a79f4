// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"sync/atomic"
)

// leftOut counts the devices of an image that are left out in a user namespace.
type leftOut struct {
	name  string // of the operation
	count atomic.Int64
}

func (l *leftOut) add(string) { l.count.Add(1) }

func (l *leftOut) report() {
	if n := l.count.Load(); n > 0 {
		fmt.Fprintf(os.Stderr, "strata: %s: %d devices are left out: only root of the host can make them, and a container has its own in /dev\n", l.name, n)
	}
}
