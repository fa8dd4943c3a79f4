// SPDX-License-Identifier: Apache-2.0

// Package sandbox turns an OCI runtime specification into a plan and starts it.
//
// A Plan is a list of steps. Each knows the shell command that a person would
// type for it and why, and does the same thing by system calls; so what
// `strata run --explain` prints is what runs. Preparing a plan is ordinary Go
// that opens and makes what the steps need; starting it is package spawn's list.
//
// A path inside the rootfs is never followed by name on the host: targets are
// opened beneath the root's descriptor and mounts are attached to descriptors.
package sandbox

import (
	"errors"
	"os"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/cgroup"
	"strata/internal/seccomp"
	"strata/internal/spawn"
)

// Options are what a sandbox needs beside its specification.
type Options struct {
	// RootShell are the commands that Explain shows for making the root
	// filesystem's mount at $root.
	RootShell []Line
	// Stdin, Stdout and Stderr become descriptors 0 to 2; nil is /dev/null.
	// With a terminal in the specification they are not used.
	Stdin, Stdout, Stderr *os.File
	// Detached lets the process of a plan made by NewEntry live on when we end. It
	// becomes a child of the sandbox's first process.
	Detached bool
	// Init puts a small process 1 before the program, which reaps orphans and
	// forwards signals. It needs a pid namespace of the sandbox's own.
	Init bool
	// Seccomp is the filter of linux.seccomp where that has been compiled
	// before; the specification need not have it then. Without it the
	// specification's is compiled, which takes a millisecond or two.
	Seccomp *seccomp.Filter
}

// A Line is a shell command and half a line of why.
type Line struct {
	Command, Why string
}

// A Plan is what will be done to start one process. It is used once.
type Plan struct {
	spec    *specs.Spec
	options Options
	steps   []step
	// Prepared is when Start had done what can be done before the child goes on.
	Prepared time.Time
}

// step is one thing done on the way to the program: shown as lines, which are
// made only when they are wanted, and done by prepare, which may act at once or
// add calls to the list with which the child goes on. What the child does before
// is in Begin.
type step struct {
	lines   func() []Line
	prepare func(*preparation) error
}

func line(command, why string) func() []Line {
	return func() []Line { return []Line{{command, why}} }
}

// A Process is the first process of a running sandbox.
type Process struct {
	*spawn.Process
	// Terminal is the controlling side of its terminal, or nil. The caller
	// closes it.
	Terminal *os.File
	// Cgroup is the sandbox's, or nil. The caller removes it when the process has
	// ended.
	Cgroup *cgroup.Group
}

// NewPlan makes the plan for spec. A field of spec that is not supported is an
// *UnsupportedError: nothing that was asked for is ignored.
func NewPlan(spec *specs.Spec, options Options) (*Plan, error) {
	if err := check(spec); err != nil {
		return nil, err
	}
	p := &Plan{spec: spec, options: options}
	p.add(stdioSteps(p)...)
	p.add(rootSteps(p)...)
	p.add(cgroupSteps(p)...)
	p.add(mountSteps(p)...)
	p.add(deviceSteps(spec)...)
	p.add(sysctlSteps(spec)...)
	p.add(oomSteps(spec)...)
	p.add(pathSteps(spec)...)
	p.add(propagationSteps(spec)...)
	p.addLimits()
	p.add(enterSteps(p)...)
	p.addProgram()
	return p, nil
}

// addLimits and addProgram are what every process of a sandbox has in common,
// its first and those that enter it later.
func (p *Plan) addLimits() {
	p.add(schedulingSteps(p.spec.Process)...)
	p.add(processSteps(p.spec)...)
	p.add(rlimitSteps(p.spec)...)
}

func (p *Plan) addProgram() {
	p.add(seccompStep(p))
	p.add(identitySteps(p.spec)...)
	p.add(execStep(p))
}

func (p *Plan) add(steps ...step) { p.steps = append(p.steps, steps...) }

func closeAll(files []*os.File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Start lets child, begun for the same specification, carry the plan out over
// root, a detached mount that stays the caller's, and returns when the program
// has been executed. A program that could not be executed is a *spawn.Error with
// Exec set. The child is gone after an error.
func (p *Plan) Start(child *Child, root *os.File) (_ *Process, err error) {
	prep := &preparation{root: root, child: child, watched: isWatched(p.spec)}
	defer func() { err = errors.Join(err, prep.close(), child.close()) }()
	err = child.limit()
	if err == nil {
		err = child.asRoot(func() error { return prep.prepare(p.steps) })
	}
	if err == nil {
		err = prep.hideFromHost(p.spec)
	}
	if err != nil {
		return nil, errors.Join(err, child.Child.Abandon(), child.removeCgroup())
	}
	p.Prepared = time.Now()
	prep.list.Replaced = p.options.Init || child.show != nil || len(prep.after) > 0
	process, err := child.Continue(&prep.list)
	err = rootHint(err)
	if err == nil {
		err = prep.launched(process)
	}
	if p.options.Init {
		err = errors.Join(err, unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
	}
	if err != nil {
		return nil, errors.Join(err, child.removeCgroup())
	}
	group, err := child.giveCgroup()
	return &Process{Process: process, Terminal: prep.giveTerminal(), Cgroup: group}, err
}

func (p *preparation) prepare(steps []step) error {
	for _, s := range steps {
		if s.prepare == nil {
			continue
		}
		if err := s.prepare(p); err != nil {
			return err
		}
	}
	return nil
}
