// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/spawn"
)

// isWatched reports whether somebody else is in the process's pid namespace, who
// sees the child before it executes its program and that while it runs.
func isWatched(s *specs.Spec) bool { return !ownsNamespace(s, specs.PIDNamespace) }

// hideFromHost hides a child that begins to run in the host's pid namespace, where
// other containers may be too. One that joins another's is hidden from its clone
// on.
func (p *preparation) hideFromHost(s *specs.Spec) error {
	if hasNamespace(s, specs.PIDNamespace) {
		return nil
	}
	show, err := hide()
	if err == nil {
		p.after = append(p.after, show)
	}
	return err
}

// makeLauncher has the program executed by a launcher, for a child that is
// watched.
func (p *preparation) makeLauncher(process *specs.Process) error {
	l, err := spawn.NewLauncher(candidates(process.Args[0], process.Env), process.Args, process.Env)
	if err != nil {
		return err
	}
	l.Orphan = p.detached
	p.launcher = l
	p.after = append(p.after, l.Close)
	return nil
}

// launch adds the calls that execute the launcher. A filter for system calls may
// know execve only.
func (p *preparation) launch(process *specs.Process) {
	p.call("keep the launcher's pipe", unix.SYS_DUP3, p.launcher.Errors.Fd(), spawn.LauncherErrors, 0)
	p.finish()
	fd := p.launcher.Program.Fd()
	args, env := p.list.Strings([]string{"launcher"}), p.list.Strings(nil)
	byDescriptor := newCall(process.Args[0], unix.SYS_EXECVEAT, fd, p.list.String(""), args, env, unix.AT_EMPTY_PATH)
	byName := newCall(process.Args[0], unix.SYS_EXECVE, p.list.String("/proc/self/fd/"+strconv.Itoa(int(fd))), args, env)
	byDescriptor.Exec, byName.Exec = true, true
	p.list.Add(byDescriptor, byName)
}

// launched waits until the launcher, if there is one, has executed the program;
// process is gone after an error.
func (p *preparation) launched(process *spawn.Process) error {
	if p.launcher == nil {
		return nil
	}
	return p.launcher.Await(process)
}
