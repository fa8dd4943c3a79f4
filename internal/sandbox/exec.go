// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/spawn"
)

// execStep ends the list: nothing but the three streams goes on into the
// program.
func execStep(p *Plan) step {
	return step{
		lines:   func() []Line { return []Line{shellExec(p.spec.Process, p.options.Init)} },
		prepare: func(prep *preparation) error { return prep.exec(p.spec.Process, p.options.Init) },
	}
}

func shellExec(process *specs.Process, withInit bool) Line {
	command := setpriv(process) + " env -i"
	for _, v := range process.Env {
		command += " " + Quote(v)
	}
	for _, a := range process.Args {
		command += " " + Quote(a)
	}
	why := "fewer capabilities, no way to more, only its own variables"
	if withInit {
		why += "; with a process 1 that reaps and forwards signals"
	}
	return Line{"exec 3<&- " + command, why}
}

func (p *preparation) exec(process *specs.Process, withInit bool) error {
	p.call("close descriptors on exec", unix.SYS_CLOSE_RANGE, 3, uintptr(^uint32(0)), unix.CLOSE_RANGE_CLOEXEC)
	if p.watched {
		if err := p.makeLauncher(process); err != nil {
			return err
		}
	}
	if p.detached {
		p.orphan(process)
		return nil
	}
	if !withInit {
		p.program(process)
		return nil
	}
	init, err := spawn.InitProgram()
	if err != nil {
		return err
	}
	p.keep(init)
	// Until process 1 executes init it has our memory and our binary, and process
	// 2 may be quicker: it is not to reach them through /proc/1 (CVE-2019-5736).
	p.call("hide our memory", unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0)
	clone := newCall("clone process 2", unix.SYS_CLONE, unix.CLONE_VM|unix.CLONE_VFORK|uintptr(unix.SIGCHLD))
	at := p.list.Len()
	p.list.Add(clone)
	p.program(process)
	p.call("exit", unix.SYS_EXIT_GROUP, 127)
	p.list.SkipOnPositive(at, p.list.Len()-at-1)
	p.finish()
	execveat := newCall("execute init", unix.SYS_EXECVEAT, init.Fd(), p.list.String(""),
		p.list.Strings([]string{"init"}), p.list.Strings(nil), unix.AT_EMPTY_PATH)
	execveat.Exec = true
	p.list.Add(execveat)
	return nil
}

// program adds the calls of the process that becomes the program: a session of
// its own, so that it has no controlling terminal but one it was given
// (CVE-2017-5226), and one execve for each place where the program may be.
func (p *preparation) program(process *specs.Process) {
	p.call("begin a session", unix.SYS_SETSID)
	if p.tty != nil {
		for i := range 3 {
			p.dup(int(p.tty.Fd()), i)
		}
		p.call("take the terminal", unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0)
	}
	none := uint64(0)
	p.call("unblock signals", unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, spawn.Pin(&p.list, &none), 0, 8)
	if p.launcher != nil {
		p.launch(process)
		return
	}
	args, env := p.list.Strings(process.Args), p.list.Strings(process.Env)
	p.finish()
	for _, path := range candidates(process.Args[0], process.Env) {
		c := newCall(process.Args[0], unix.SYS_EXECVE, p.list.String(path), args, env)
		c.Exec = true
		p.list.Add(c)
	}
}

// candidates are the paths that execvp(3) would try.
func candidates(name string, env []string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	var paths []string
	for _, v := range env {
		dirs, isPath := strings.CutPrefix(v, "PATH=")
		if !isPath {
			continue
		}
		paths = nil
		for dir := range strings.SplitSeq(dirs, ":") {
			if dir == "" {
				dir = "."
			}
			paths = append(paths, dir+"/"+name)
		}
	}
	if paths == nil {
		return []string{name}
	}
	return paths
}
