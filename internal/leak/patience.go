// SPDX-License-Identifier: Apache-2.0

package leak

import (
	"os"
	"strconv"
	"time"
)

// Patience is how long a test waits for what must come. It is no measure of
// speed: it ends a test that would hang. On a machine that is slower than others
// STRATA_TEST_PATIENCE says how many times.
func Patience() time.Duration {
	times, err := strconv.Atoi(os.Getenv("STRATA_TEST_PATIENCE"))
	if err != nil {
		times = 1
	}
	return time.Duration(times) * time.Minute
}

// grace is how long a process that was told to end may take for it.
func grace() time.Duration { return Patience() / 6 }
