// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"strata/internal/spawn"
)

// The names of two calls in the child's first list.
const (
	pivotRoot     = "pivot_root"
	privateMounts = "make mounts private"
)

// rootHint adds what to do where the host's root directory cannot be left: it is
// no mount (EINVAL, mount(2)), or none that lies on another (pivot_root(2)). The
// child has stopped then, and nothing of the host was touched.
func rootHint(err error) error {
	var failed *spawn.Error
	if errors.As(err, &failed) && failed.Errno == unix.EINVAL && (failed.Call == pivotRoot || failed.Call == privateMounts) {
		return fmt.Errorf("%w; the root directory here is an initramfs or a chroot: go over to another with switch_root, or mount --bind it onto itself before chroot", err)
	}
	return err
}
