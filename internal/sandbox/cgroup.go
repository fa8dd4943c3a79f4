// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/cgroup"
	"strata/internal/spawn"
)

// checkCgroup refuses limits that cannot be set, and a path that is none.
func checkCgroup(l *specs.Linux) error {
	if l.CgroupsPath == "" {
		if l.Resources == nil {
			return nil
		}
		return &UnsupportedError{Field: "linux.resources", Value: "without linux.cgroupsPath"}
	}
	if cgroup.CheckPath(l.CgroupsPath) != nil {
		return &UnsupportedError{Field: "linux.cgroupsPath", Value: l.CgroupsPath}
	}
	err := cgroup.Here().Check(l.Resources)
	var field *cgroup.FieldError
	if errors.As(err, &field) {
		return &UnsupportedError{Field: field.Field, Value: field.Value}
	}
	return err
}

// makeCgroup makes the cgroup in which the child will be. Without limits it can
// do without one, where none can be made.
func (c *Child) makeCgroup() (err error) {
	l := c.spec.Linux
	if l.CgroupsPath == "" {
		return nil
	}
	if err := checkCgroup(l); err != nil {
		return err
	}
	c.group, err = cgroup.Here().Create(l.CgroupsPath, l.Resources)
	if l.Resources == nil && cgroup.Unavailable(err) {
		return nil
	}
	return err
}

// cloneFlags are the namespaces that the clone makes. A cgroup namespace takes
// the cgroup of its maker for its root, which at the clone is our own
// (copy_cgroup_ns in kernel/cgroup/namespace.c): with a cgroup the child makes
// it later.
func (c *Child) cloneFlags() uintptr {
	flags := cloneFlags(c.spec)
	if c.group != nil {
		flags &^= unix.CLONE_NEWCGROUP
	}
	return flags
}

// cgroupFile is the cgroup for the clone, or nil.
func (c *Child) cgroupFile() *os.File {
	if c.group == nil {
		return nil
	}
	return c.group.File()
}

// limit sets the limits while the kernel makes the child's namespaces, and opens
// what the child needs to enter the cgroup.
func (c *Child) limit() (err error) {
	if c.group == nil {
		return nil
	}
	if err := c.group.Set(c.spec.Linux.Resources); err != nil {
		return err
	}
	c.tasks, err = c.group.Tasks()
	return err
}

// enterCgroup adds the calls by which the child itself enters a cgroup of version
// 1; with version 2 it has begun there. A thread that moves itself, and nobody
// else, needs no lock that waits for every processor, which takes milliseconds
// (cgroup_procs_write_start in kernel/cgroup/cgroup.c, since 6.0).
func (p *preparation) enterCgroup(tasks []*os.File) {
	for _, f := range tasks {
		p.call("enter cgroup "+f.Name(), unix.SYS_WRITE, f.Fd(), p.list.String("0"), 1)
	}
}

// removeCgroup removes the cgroup when the child is gone.
func (c *Child) removeCgroup() error {
	if c.group == nil {
		return nil
	}
	return c.group.Remove()
}

// giveCgroup is the cgroup of a child that has become a sandbox, or nil.
func (c *Child) giveCgroup() (*cgroup.Group, error) {
	if c.group == nil {
		return nil, nil
	}
	return c.group, c.group.Close()
}

// cgroupSteps show the cgroup and make its namespace.
func cgroupSteps(p *Plan) []step {
	if p.spec.Linux.CgroupsPath == "" {
		return nil
	}
	return []step{{prepare: func(prep *preparation) error {
		prep.enterCgroup(prep.child.tasks)
		if prep.child.group != nil && cloneFlags(p.spec)&unix.CLONE_NEWCGROUP != 0 {
			prep.call("make a cgroup namespace", unix.SYS_UNSHARE, unix.CLONE_NEWCGROUP)
		}
		return nil
	}}}
}

// shellCgroup are the commands that make the cgroup, enter it and remove it.
func shellCgroup(s *specs.Spec) (create, enter, remove []Line) {
	if s.Linux.CgroupsPath == "" || s.Linux.Resources == nil {
		return nil, nil, nil
	}
	script, _ := cgroup.Here().Shell(s.Linux.CgroupsPath, s.Linux.Resources) // check has refused what cannot be
	return shellLines(script.Make), shellLines(script.Enter), shellLines(script.Remove)
}

func shellLines(commands []cgroup.Command) (lines []Line) {
	for _, c := range commands {
		lines = append(lines, Line(c))
	}
	return lines
}

// entryGroup is the cgroup that a process enters which joins a sandbox later, nil
// for "". The caller closes it.
func entryGroup(path string) (*cgroup.Group, error) {
	if path == "" {
		return nil, nil
	}
	g := cgroup.Here().Open(path)
	return g, g.OpenFile()
}

// beginIn begins a child in a cgroup, or with nil in ours.
func beginIn(g *cgroup.Group, first *spawn.List, o spawn.Options) (*spawn.Child, error) {
	if g == nil {
		return spawn.Begin(first, o)
	}
	o.Cgroup = g.File()
	child, err := spawn.Begin(first, o)
	if err != nil {
		return nil, err
	}
	if _, err := child.Process(); err != nil { // the cgroup stays open until the clone is made
		return nil, errors.Join(err, child.Abandon())
	}
	return child, nil
}

// entryCgroupStep lets a process that joins a sandbox later enter its cgroup of
// version 1.
func entryCgroupStep(s *specs.Spec) step {
	return step{prepare: func(prep *preparation) error {
		if s.Linux.CgroupsPath == "" {
			return nil
		}
		tasks, err := cgroup.Here().Open(s.Linux.CgroupsPath).Tasks()
		for _, f := range tasks {
			prep.keep(f)
		}
		prep.enterCgroup(tasks)
		return err
	}}
}
