// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
	"strata/internal/spawn"
)

// An Entrant is a process in a running sandbox that has no program yet, and is in
// no namespace of it but that for process ids. Plan.Enter or Abandon must follow.
type Entrant struct {
	child   *spawn.Child
	running *Running
	show    func() error // undoes hide
}

// Begin clones the process of an entry, in the sandbox's pid namespace and in the
// cgroup at the path, if that is not "": the kernel is at it while the caller
// makes the plan. Until the program runs this process cannot be dumped.
func (r *Running) Begin(cgroupsPath string) (_ *Entrant, err error) {
	group, err := entryGroup(cgroupsPath)
	if err != nil {
		return nil, err
	}
	if group != nil {
		defer group.Close()
	}
	show, err := hide()
	if err != nil {
		return nil, err
	}
	var o spawn.Options
	if r.other&unix.CLONE_NEWPID != 0 {
		o.PidNamespace = r.pidfd // a pidfd stands for the namespaces of its process (setns(2))
	}
	child, err := beginIn(group, new(spawn.List), o)
	if err != nil {
		return nil, errors.Join(err, show())
	}
	return &Entrant{child, r, show}, nil
}

// Abandon ends the process instead.
func (e *Entrant) Abandon() error { return errors.Join(e.child.Abandon(), e.show()) }

// NewEntry makes the plan for one more process in a running sandbox: that of
// spec, which beside the process is the sandbox's own. Plan.Enter carries it out.
//
// The process is given the same limits, identity and filter as a first one, by
// the same steps.
func NewEntry(spec *specs.Spec, r *Running, options Options) (*Plan, error) {
	if err := check(spec); err != nil {
		return nil, err
	}
	if r.other&unix.CLONE_NEWNS == 0 {
		return nil, errors.New("enter a sandbox: it has no mount namespace of its own")
	}
	p := &Plan{spec: spec, options: options}
	p.add(entryCgroupStep(spec))
	p.add(stdioSteps(p)...)
	p.add(step{prepare: func(prep *preparation) error { return prep.hostDirectory() }})
	p.add(oomSteps(spec)...)
	p.add(p.entryStep(r))
	p.addLimits()
	p.add(step{prepare: func(prep *preparation) error {
		prep.workDir(spec.Process.Cwd)
		return nil
	}})
	p.addProgram()
	return p, nil
}

// hostDirectory puts the child where names beneath / are the host's.
func (p *preparation) hostDirectory() error {
	p.call("chdir to /", unix.SYS_CHDIR, p.list.String("/"))
	return nil
}

// entryStep opens the terminal, which is one of the sandbox's own, and lets the
// child enter every namespace but that for process ids, in which it has begun.
// The kernel takes the user namespace first and either all of them or none
// (setns(2)); with the mount namespace go its root and working directory.
func (p *Plan) entryStep(r *Running) step {
	return step{prepare: func(prep *preparation) error {
		if process := p.spec.Process; process.Terminal {
			if err := prep.terminalOf(r, process); err != nil {
				return fmt.Errorf("open a terminal: %w", err)
			}
		}
		prep.call("enter the namespaces", unix.SYS_SETNS, r.pidfd.Fd(), r.other&^unix.CLONE_NEWPID)
		return nil
	}}
}

// terminalOf makes a pair of terminals in the sandbox's devpts. What the sandbox
// has at /dev/pts/ptmx is opened for use only if it is what it should be
// (CVE-2025-52565).
func (p *preparation) terminalOf(r *Running, process *specs.Process) error {
	const name = "/dev/pts/ptmx"
	fd, err := linux.OpenInRoot(int(r.root.Fd()), name, unix.O_PATH, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	st, err := linux.Fstat(fd)
	if err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return err
	}
	if fs.Type != unix.DEVPTS_SUPER_MAGIC || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(5, 2) {
		return fmt.Errorf("%s is not the multiplexer of a devpts", name)
	}
	ptmx, err := linux.OpenAt(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	owner, err := r.hostID("uid_map", process.User.UID)
	if err != nil {
		return err
	}
	if err := p.pair(ptmx, process.ConsoleSize); err != nil {
		return err
	}
	return os.NewSyscallError("fchown", unix.Fchown(int(p.tty.Fd()), int(owner), -1))
}

// hostID is the id outside of an id inside, by a map of the first process: uid_map
// or gid_map (user_namespaces(7)).
func (r *Running) hostID(file string, id uint32) (uint32, error) {
	if r.other&unix.CLONE_NEWUSER == 0 {
		return id, nil
	}
	maps, err := linux.ReadIDMaps(r.file(file))
	if err != nil {
		return 0, err
	}
	outside, ok := linux.OutsideID(maps, id)
	if !ok {
		return 0, fmt.Errorf("id %d is not one of the container's user namespace", id)
	}
	return outside, nil
}

// Enter starts the process of a plan made by NewEntry, begun for the same sandbox
// and cgroup, and returns when the program has been executed. A program that could
// not be executed is a *spawn.Error with Exec set. The process is gone after an
// error.
func (p *Plan) Enter(e *Entrant) (_ *Process, err error) {
	prep := &preparation{root: e.running.root, running: e.running, detached: p.options.Detached, watched: true}
	prep.after = append(prep.after, e.show)
	defer func() { err = errors.Join(err, prep.close()) }()
	if err := prep.prepare(p.steps); err != nil {
		return nil, errors.Join(err, e.child.Abandon())
	}
	prep.list.Replaced = true
	process, err := e.child.Continue(&prep.list)
	if err == nil {
		err = prep.launched(process)
	}
	if err != nil {
		return nil, err
	}
	return &Process{Process: process, Terminal: prep.giveTerminal()}, nil
}

// hide keeps other processes from ours until show is called, when the child is
// done with our memory. Those of the sandbox see the child from its clone on, with
// our memory and descriptors: they are not to reach our binary through
// /proc/PID/exe, nor what we have open (CVE-2019-5736, CVE-2016-9962). A new
// program is not hidden (execve(2)).
func hide() (show func() error, err error) {
	before, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	}
	if err != nil {
		return nil, os.NewSyscallError("prctl PR_SET_DUMPABLE", err)
	}
	return func() error {
		return os.NewSyscallError("prctl PR_SET_DUMPABLE", unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(before), 0, 0, 0))
	}, nil
}

// orphan adds a clone that becomes the program, while the child ends and leaves
// it to the sandbox's first process: whoever comes to be our own orphans' parent
// may not reap, and then the sandbox could not end (zap_pid_ns_processes in
// kernel/pid_namespace.c waits for all of its processes).
func (p *preparation) orphan(process *specs.Process) {
	at := p.list.Len()
	p.call("clone the process", unix.SYS_CLONE, unix.CLONE_VM|unix.CLONE_VFORK|uintptr(unix.SIGCHLD))
	p.program(process)
	p.call("exit", unix.SYS_EXIT_GROUP, 127)
	p.list.SkipOnPositive(at, p.list.Len()-at-1)
	p.call("exit", unix.SYS_EXIT_GROUP, 0)
}
