// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// numbers are system call numbers with one verdict, up to where the next begin.
type numbers struct {
	first uint32
	at    label // of the verdict's code
}

// ranges cuts the numbers of a convention into ranges with one verdict each and
// emits the verdicts' code.
func (c *compiler) ranges(v convention) []numbers {
	var r []numbers
	var unknown label
	for i, s := range v.spaces {
		found := map[uint32]*verdict{}
		outside := c.ret(unix.SECCOMP_RET_KILL_PROCESS)
		if c.allows(s) {
			found = c.verdicts(s)
			outside = c.outside(found)
		}
		if i == 0 {
			unknown = outside
		}
		r = c.space(r, s.first, found, outside)
	}
	return begin(r, noCall, unknown)
}

// outside is what becomes of a number above those found.
func (c *compiler) outside(found map[uint32]*verdict) label {
	if len(found) == 0 || lenient(c.fallback) {
		return c.ret(c.fallback)
	}
	return c.ret(errnoNoCall)
}

// space appends the ranges of one space.
func (c *compiler) space(r []numbers, first uint32, found map[uint32]*verdict, outside label) []numbers {
	between := outside
	if len(found) > 0 {
		between = c.ret(c.fallback)
	}
	r = begin(r, first, between)
	for _, n := range slices.Sorted(maps.Keys(found)) {
		r = begin(r, n, c.block(found[n]))
		r = begin(r, n+1, between)
		first = n + 1
	}
	return begin(r, first, outside)
}

// begin appends a range, or lengthens the one before where the verdict is the
// same. What began at the same number had nothing in it.
func begin(r []numbers, first uint32, at label) []numbers {
	if n := len(r); n > 0 && r[n-1].first == first {
		r = r[:n-1]
	}
	if n := len(r); n > 0 && r[n-1].at == at {
		return r
	}
	return append(r, numbers{first, at})
}
