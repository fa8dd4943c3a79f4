// SPDX-License-Identifier: Apache-2.0

package cgroup

import "math"

// weightOfShares turns cpu.shares of version 1 (2 to 262144, 1024 by default)
// into cpu.weight of version 2 (1 to 10000, 100 by default), by a curve that
// joins the three points: runc's and crun's, of opencontainers/cgroups.
func weightOfShares(shares uint64) uint64 {
	switch {
	case shares <= minShares:
		return 1
	case shares >= maxShares:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// weightOfBlockIO turns a weight of version 1 (10 to 1000) into io.weight of
// version 2 (1 to 10000).
func weightOfBlockIO(w uint16) uint64 { return 1 + (uint64(max(w, 10))-10)*9999/990 }
