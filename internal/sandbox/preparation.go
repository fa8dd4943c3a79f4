// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/seccomp"
	"strata/internal/spawn"
)

// preparation is a plan being carried out: what has been opened for the child,
// and the list of calls it will make.
type preparation struct {
	list     spawn.List
	root     *os.File
	child    *Child     // of a start
	running  *Running   // of an entry
	mounts   []prepared // in the order in which they will be attached
	terminal *os.File   // the controlling side of the pty
	tty      *os.File   // the child's side
	files    []*os.File
	filter   *seccomp.Filter // or nil
	late     *capabilitySets // to be given up after the filter, or nil
	after    []func() error  // to be done when the child has executed, or is gone
	detached bool
	watched  bool // by others in the child's pid namespace
	launcher *spawn.Launcher
}

// prepared is a detached mount with the path where it will be.
type prepared struct {
	path string // absolute in the rootfs, links resolved
	root *os.File
	// sealed: made by the child only, so nothing can be put beneath it here
	sealed bool
}

// keep closes f once the child has been started.
func (p *preparation) keep(f *os.File) *os.File {
	p.files = append(p.files, f)
	return f
}

func (p *preparation) close() error {
	err := closeAll(p.files)
	for _, f := range p.after {
		err = errors.Join(err, f())
	}
	if p.terminal != nil {
		err = errors.Join(err, p.terminal.Close())
	}
	return err
}

// giveTerminal is the terminal, which is not closed here then.
func (p *preparation) giveTerminal() *os.File {
	terminal := p.terminal
	p.terminal = nil
	return terminal
}

// call adds one system call to the child's list; an error of it ends the start.
func (p *preparation) call(name string, nr uintptr, args ...uintptr) {
	p.list.Add(newCall(name, nr, args...))
}

// callTolerating adds a call that may fail with errno.
func (p *preparation) callTolerating(errno unix.Errno, name string, nr uintptr, args ...uintptr) {
	c := newCall(name, nr, args...)
	c.Tolerate = errno
	p.list.Add(c)
}

func newCall(name string, nr uintptr, args ...uintptr) spawn.Call {
	c := spawn.Call{Name: name, Nr: nr}
	copy(c.Args[:], args)
	return c
}

// chdirTo makes the open directory f the child's working directory.
func (p *preparation) chdirTo(f *os.File) {
	p.call("chdir to "+f.Name(), unix.SYS_FCHDIR, f.Fd())
}

// attach adds the move of a detached mount onto its target.
func (p *preparation) attach(m, target *os.File, path string) {
	empty := p.list.String("")
	p.call("attach "+path, unix.SYS_MOVE_MOUNT, m.Fd(), empty, target.Fd(), empty,
		unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}
