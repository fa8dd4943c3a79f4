// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"strata/internal/spawn"
)

// workDir makes dir the child's working directory, as it is found from the
// child's root. The child has descriptors of the host until it executes: a path
// that leads to one by way of /proc is refused (ELOOP), or the program would
// begin outside (CVE-2024-21626).
func (p *preparation) workDir(dir string) {
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	name := "chdir to " + dir
	open := newCall(name, unix.SYS_OPENAT2, cwd, p.list.String(dir), spawn.Pin(&p.list, how), unsafe.Sizeof(*how))
	open.Save = true
	change := newCall(name, unix.SYS_FCHDIR)
	change.Saved = true
	p.list.Add(open, change, closeSaved(name))
}
