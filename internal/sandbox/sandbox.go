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

	"github.com/opencontainers/runtime-spec/specs-go"

	"strata/internal/spawn"
)

// Options are what a sandbox needs beside its specification.
type Options struct {
	// Root is the detached mount that becomes the root filesystem. It stays
	// the caller's.
	Root *os.File
	// RootShell are the commands that Explain shows for making that mount at
	// $root, in place of Root.
	RootShell []Line
	// MountPoint is a directory of the host on which Root is attached inside
	// the new mount namespace, before it becomes "/". Nobody outside sees it.
	MountPoint string
	// Stdin, Stdout and Stderr become descriptors 0 to 2; nil is /dev/null.
	// With a terminal in the specification they are not used.
	Stdin, Stdout, Stderr *os.File
	// Init puts a small process 1 before the program, which reaps orphans and
	// forwards signals. It needs a pid namespace of the sandbox's own.
	Init bool
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
}

// step is one thing done on the way to the program: shown as lines, which are
// made only when they are wanted, and done by prepare, which may act at once or
// add calls to the list of the child.
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
	p.add(mountSteps(p)...)
	p.add(pathSteps(spec)...)
	p.add(enterSteps(p)...)
	p.add(identitySteps(spec)...)
	p.add(execStep(p))
	return p, nil
}

func (p *Plan) add(steps ...step) { p.steps = append(p.steps, steps...) }

// Start carries the plan out and returns when the program has been executed.
// A program that could not be is a *spawn.Error with Exec set.
//
// The child ends with the thread that started it (prctl(2), PR_SET_PDEATHSIG).
// Go parks threads and does not end them, but for that of a goroutine which ends
// while locked to it (runtime.LockOSThread): do not start a sandbox from one.
func (p *Plan) Start() (_ *Process, err error) {
	prep := &preparation{root: p.options.Root}
	defer func() { err = errors.Join(err, prep.close()) }()
	for _, s := range p.steps {
		if s.prepare == nil {
			continue
		}
		if err := s.prepare(prep); err != nil {
			return nil, err
		}
	}
	child, err := spawn.Start(&prep.list, spawn.Options{Namespaces: cloneFlags(p.spec)})
	if err != nil {
		return nil, err
	}
	terminal := prep.terminal
	prep.terminal = nil
	return &Process{Process: child, Terminal: terminal}, nil
}
