// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// Freeze stops every process in the cgroup until Thaw, and returns when they
// have stopped. With version 1 it needs the freezer's hierarchy: see Need.
func (g *Group) Freeze() error {
	if err := g.BeginFreeze(); err != nil {
		return err
	}
	err := g.awaitFrozen()
	if err != nil {
		err = errors.Join(err, g.Thaw())
	}
	return err
}

// BeginFreeze lets what is in the cgroup stop, and what is moved to it.
func (g *Group) BeginFreeze() error { return g.freezer("1", "FROZEN") }

// Thaw lets them go on. A cgroup that is not frozen, or not there, stays as it is.
func (g *Group) Thaw() error {
	err := g.freezer("0", "THAWED")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (g *Group) thaw1() error {
	if g.system.Version != 1 {
		return nil
	}
	return g.Thaw()
}

func (g *Group) freezer(v2, v1 string) error {
	file, value := "/cgroup.freeze", v2
	if g.system.Version == 1 {
		file, value = "/freezer.state", v1
	}
	return write(g.dirOf("freezer")+file, value)
}

// Frozen reports whether the cgroup is being frozen or is frozen.
func (g *Group) Frozen() bool {
	if g.system.Version == 2 {
		text, err := read(g.dirOf("") + "/cgroup.freeze")
		return err == nil && text == "1"
	}
	text, err := read(g.dirOf("freezer") + "/freezer.state")
	return err == nil && text != "THAWED"
}

func (g *Group) awaitFrozen() error {
	if g.system.Version == 2 {
		return g.awaitEvent("frozen 1")
	}
	return g.awaitFrozen1()
}

// awaitFrozen1 asks again until all have stopped: version 1 has no event for it,
// and finds out when the file is read or written.
func (g *Group) awaitFrozen1() error {
	file := g.dirOf("freezer") + "/freezer.state"
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); unix.Poll(nil, 1) {
		text, err := read(file)
		if err != nil || text == "FROZEN" {
			return err
		}
	}
	return fmt.Errorf("freeze cgroup %s: its processes do not stop", g.path)
}

// awaitEvent waits until cgroup.events has the line; the kernel wakes who polls
// the file when it changes (cgroup-v2.rst).
func (g *Group) awaitEvent(line string) error {
	file := g.dirOf("") + "/cgroup.events"
	fd, err := linux.OpenAt(unix.AT_FDCWD, file, unix.O_RDONLY, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: file, Err: err}
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	for deadline := time.Now().Add(patience); ; {
		n, err := unix.Pread(fd, buf, 0)
		if err != nil && err != unix.EINTR {
			return &os.PathError{Op: "read", Path: file, Err: err}
		}
		if strings.Contains(string(buf[:max(n, 0)]), line+"\n") {
			return nil
		}
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("wait for %q of cgroup %s: its processes do not stop", line, g.path)
		}
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, int(left.Milliseconds()))
	}
}
