// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/cgroup"
	"strata/internal/container"
	"strata/internal/linux"
)

// cgroupPrefix begins the names of the cgroups of this store's containers.
func (e *Engine) cgroupPrefix() (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(e.root, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: e.root, Err: err}
	}
	return cgroup.Prefix(st.Dev, st.Ino), nil
}

// cgroupPath is where the cgroup of a container is, or will be.
func (e *Engine) cgroupPath(r *container.Record) (string, error) {
	prefix, err := e.cgroupPrefix()
	if err != nil {
		return "", err
	}
	parent := r.Host.CgroupParent
	if !path.IsAbs(parent) {
		parent = path.Join(cgroup.Here().Parent(os.Geteuid() == 0 && !linux.InUserNamespace()), parent)
	}
	return path.Join(parent, cgroup.Name(prefix, r.ID)), nil
}

// useCgroup puts the container's cgroup and limits into its specification. With
// version 2 each has one, in which it begins; with version 1, where that takes
// two or three hierarchies, those alone that have limits: pause and update make
// one later.
func (e *Engine) useCgroup(spec *specs.Spec, r *container.Record) (err error) {
	if r.Host.CgroupNS == "host" {
		spec.Linux.Namespaces = slices.DeleteFunc(spec.Linux.Namespaces, func(ns specs.LinuxNamespace) bool {
			return ns.Type == specs.CgroupNamespace
		})
	}
	limits := r.Host.Resources.LinuxResources
	if limits == nil && cgroup.Here().Version != 2 {
		return nil
	}
	spec.Linux.Resources = limits
	spec.Linux.CgroupsPath, err = e.cgroupPath(r)
	return err
}

// group is the cgroup of a container, which need not exist.
func (e *Engine) group(entry *container.Entry) (*cgroup.Group, error) {
	if entry.State.Cgroup != "" {
		return cgroup.Here().Open(entry.State.Cgroup), nil
	}
	at, err := e.cgroupPath(&entry.Record)
	return cgroup.Here().Open(at), err
}

// dropCgroup removes what is left of a container's cgroup after its runner was
// killed. The caller has the container's lock.
func (e *Engine) dropCgroup(r *container.Record) error {
	if cgroup.Here().Version == 0 || r.ID == "" { // "": its record cannot be read; gc finds the cgroup
		return nil
	}
	at, err := e.cgroupPath(r)
	if err != nil {
		return err
	}
	return cgroup.Here().Open(at).Remove()
}

// collectCgroups removes those of containers that nobody runs. The caller has
// the lock that whoever makes a container shares.
func (e *Engine) collectCgroups() error {
	prefix, err := e.cgroupPrefix()
	if err != nil || cgroup.Here().Version == 0 {
		return err
	}
	found, err := cgroup.Here().Find(prefix)
	for _, at := range found {
		inUse, useErr := e.containers.InUse(strings.TrimPrefix(path.Base(at), prefix))
		if useErr == nil && !inUse {
			useErr = cgroup.Here().Open(at).Remove()
		}
		err = errors.Join(err, useErr)
	}
	return err
}

// endCgroup removes the cgroup of a container that has ended, made at its start
// or later by another command, and reports whether a process in it was killed
// for want of memory.
func (r *Running) endCgroup() (oomKilled bool, err error) {
	group := r.process.Cgroup
	if group == nil && r.noted && cgroup.Here().Version != 0 {
		at, err := r.engine.cgroupPath(&r.container.Record)
		if err != nil {
			return false, err
		}
		group = cgroup.Here().Open(at)
	}
	if group == nil {
		return false, nil
	}
	oomKilled = group.OOMKills() > 0
	return oomKilled, group.Remove()
}

// pausedState is s, with the word for a running container that is frozen.
func (e *Engine) pausedState(entry *container.Entry) container.State {
	s := entry.State
	if s.Status != container.Running {
		return s
	}
	if group, err := e.group(entry); err == nil && group.Frozen() {
		s.Status = container.Paused
	}
	return s
}

// thawKilled lets a container that was killed die: with version 1 what is frozen
// does not.
func (e *Engine) thawKilled(id string) {
	if entry, err := e.containers.Entry(id); err == nil && cgroup.Here().Version != 0 {
		if group, err := e.group(&entry); err == nil {
			group.Thaw()
		}
	}
}

// enterable is the path of the cgroup of a running container, "" for none, for
// one more process, which in a paused one would not begin.
func (e *Engine) enterable(entry *container.Entry) (string, error) {
	group, err := e.group(entry)
	if err != nil {
		return "", err
	}
	if !group.Exists() {
		return "", nil
	}
	if group.Frozen() {
		name := entry.Record.DisplayName()
		return "", fmt.Errorf("container %s is paused; let it go on first (strata unpause %s)", name, name)
	}
	return group.Path(), nil
}

// cgroupFeature names the version and the controllers whose limits can be had.
func (e *Engine) cgroupFeature() Feature {
	s := cgroup.Here()
	parent := s.Parent(os.Geteuid() == 0 && !linux.InUserNamespace())
	f := Feature{Name: "Limits (cgroups)", Present: s.Writable(parent)}
	switch {
	case s.Version == 0:
		f.Note = "none are mounted"
	case !f.Present:
		f.Note = fmt.Sprintf("version %d, of which none is delegated to this user", s.Version)
	default:
		f.Note = fmt.Sprintf("version %d: %s", s.Version, strings.Join(s.ControllersAt(parent), " "))
	}
	return f
}

// Pause stops every process of a running container until Unpause.
func (e *Engine) Pause(name string) error {
	return e.change(name, func(entry *container.Entry, group *cgroup.Group) error {
		if group.Frozen() {
			return fmt.Errorf("container %s is paused already", entry.Record.DisplayName())
		}
		if _, err := group.Need(nil, "freezer"); err != nil {
			return err
		}
		err := group.BeginFreeze() // first: what is moved then stops, and forks no more
		if err == nil {
			err = group.Gather(entry.State.Pid, "freezer")
		}
		if err == nil {
			err = group.Freeze()
		}
		if err != nil {
			return errors.Join(err, group.Thaw())
		}
		return nil
	})
}

// Unpause lets a paused container go on.
func (e *Engine) Unpause(name string) error {
	return e.change(name, func(entry *container.Entry, group *cgroup.Group) error {
		if !group.Frozen() {
			return fmt.Errorf("container %s is not paused", entry.Record.DisplayName())
		}
		return group.Thaw()
	})
}

// change calls f for a running container and its cgroup. One that f has made
// when the container had just ended is removed again: nobody else would.
func (e *Engine) change(name string, f func(*container.Entry, *cgroup.Group) error) error {
	return e.containers.Update(name, func(entry container.Entry) (container.Resources, error) {
		limits := entry.Record.Host.Resources
		if !entry.State.Alive() {
			return limits, &container.StoppedError{Name: entry.Record.DisplayName()}
		}
		return limits, e.withGroup(&entry, f)
	})
}

func (e *Engine) withGroup(entry *container.Entry, f func(*container.Entry, *cgroup.Group) error) error {
	group, err := e.group(entry)
	if err != nil {
		return err
	}
	err = f(entry, group)
	if !entry.State.Alive() {
		return errors.Join(err, group.Remove())
	}
	return err
}

// Update changes limits of a container, and if it runs those that the kernel
// holds it to.
func (e *Engine) Update(name string, changed *specs.LinuxResources) error {
	return e.containers.Update(name, func(entry container.Entry) (container.Resources, error) {
		old := entry.Record.Host.Resources
		merged := container.Resources{LinuxResources: mergeResources(old.LinuxResources, changed)}
		if err := cgroup.Here().Check(merged.LinuxResources); err != nil {
			return old, err
		}
		if !entry.State.Alive() {
			return merged, nil
		}
		return merged, e.withGroup(&entry, func(_ *container.Entry, group *cgroup.Group) error {
			return limit(&entry, group, merged.LinuxResources)
		})
	})
}

// limit sets limits before processes are moved to a cgroup that is new: when one
// is refused nothing is left.
func limit(entry *container.Entry, group *cgroup.Group, r *specs.LinuxResources) error {
	fresh, err := group.Need(r)
	if err == nil {
		err = group.Set(r)
	}
	if err != nil {
		return errors.Join(err, group.Forget())
	}
	if len(fresh) == 0 {
		return nil
	}
	return group.Gather(entry.State.Pid, fresh...)
}

// Stats is what a running container has used since it was started. With cgroup
// version 1 it is counted from the first call on, unless limits had it counted
// before.
func (e *Engine) Stats(name string) (s cgroup.Stats, err error) {
	err = e.change(name, func(entry *container.Entry, group *cgroup.Group) error {
		fresh, err := group.Need(nil, slices.DeleteFunc([]string{"memory", "cpuacct", "pids", "blkio"}, func(c string) bool {
			return !slices.Contains(cgroup.Here().Controllers(), c)
		})...)
		if err == nil && len(fresh) > 0 {
			err = group.Gather(entry.State.Pid, fresh...)
		}
		if err == nil {
			s, err = group.Stats()
		}
		return err
	})
	return s, err
}

// CheckResources refuses limits that cannot be had with the cgroups that are
// here, and values that mean nothing.
func CheckResources(r *specs.LinuxResources) error {
	err := cgroup.Here().Check(r)
	var field *cgroup.FieldError
	if errors.As(err, &field) {
		return fmt.Errorf("limit %s is not supported %s", strings.TrimPrefix(field.Field, "linux.resources."), field.Value)
	}
	return err
}
