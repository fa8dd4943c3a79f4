// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestBadDetachKeys(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	for _, verb := range [][]string{{"run", "bb", "true"}, {"exec", "one", "true"}, {"start", "-a", "one"}} {
		p.fails(125, append([]string{verb[0], "--detach-keys", "ctrl-p,nonsense"}, verb[1:]...)...)
	}
}
