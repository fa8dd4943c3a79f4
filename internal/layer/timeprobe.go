// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// A timeProbe knows what a filesystem makes of a time that it cannot hold: ext4
// with small inodes ends in 2038, and others have no nanoseconds.
type timeProbe struct {
	dir  *os.File // nil: it does not know
	fd   int
	open bool
}

// heldAs reports whether the filesystem holds the given time as got.
func (p *timeProbe) heldAs(sec, nsec int64, got unix.Timespec) bool {
	if p.dir == nil || !p.open && !p.start() {
		return false
	}
	want := unix.Timespec{Sec: sec, Nsec: nsec}
	if err := unix.UtimesNanoAt(p.fd, "", []unix.Timespec{want, want}, unix.AT_EMPTY_PATH); err != nil {
		return false
	}
	st, err := linux.Fstat(p.fd)
	return err == nil && st.Mtim == got
}

func (p *timeProbe) start() bool {
	fd, err := linux.OpenAt(int(p.dir.Fd()), ".", unix.O_TMPFILE|unix.O_RDWR, 0o600)
	if err != nil { // not every filesystem makes nameless files
		p.dir = nil
		return false
	}
	p.fd, p.open = fd, true
	return true
}

func (p *timeProbe) close() {
	if p.open {
		unix.Close(p.fd)
	}
}
