// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// dir1 is the cgroup's directory in the hierarchy of controller.
func (g *Group) dir1(controller string) string { return g.system.Root + "/" + controller + g.path }

// needed1 are the controllers that limits need; with none it is the freezer, so
// that there is a cgroup.
func (g *Group) needed1(r *specs.LinuxResources) []string {
	var need []string
	all, _ := g.system.settings(r)
	for _, s := range all {
		if !slices.Contains(need, s.controller) {
			need = append(need, s.controller)
		}
	}
	if need == nil {
		need = []string{"freezer"}
	}
	return need
}

// create1 makes the cgroup in the hierarchy of controller.
func (g *Group) create1(controller string) error {
	root := g.system.Root + "/" + controller
	if !exists(root + "/cgroup.procs") {
		return &MissingError{controller}
	}
	if slices.ContainsFunc(g.made, func(dir string) bool { return same(dir, g.dir1(controller)) }) {
		return nil // it shares the hierarchy of another
	}
	if err := g.create(root, nil); err != nil {
		return err
	}
	if controller != "cpuset" {
		return nil
	}
	return inheritSets(root, g.path)
}

func same(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}

// A MissingError is a controller whose limits cannot be had.
type MissingError struct{ Controller string }

func (e *MissingError) Error() string {
	return "limits of " + e.Controller + ": the cgroup controller is missing here; mount it or have it delegated, " +
		"or take it out of cgroup_disable= on the kernel's command line"
}

// Unwrap makes it one of what Unavailable knows.
func (e *MissingError) Unwrap() error { return os.ErrNotExist }

// inheritSets gives the directories of p the processors and memory nodes of the
// one above: a new cpuset has none and takes no process (cpuset(7)).
func inheritSets(root, p string) error {
	if p == "/" {
		return nil
	}
	if err := inheritSets(root, path.Dir(p)); err != nil {
		return err
	}
	for _, file := range []string{"/cpuset.cpus", "/cpuset.mems"} {
		if have, err := read(root + p + file); err != nil || have != "" {
			if err != nil {
				return err
			}
			continue
		}
		above, err := read(root + path.Dir(p) + file)
		if err == nil {
			err = write(root+p+file, above)
		}
		if err != nil {
			return fmt.Errorf("make cgroup %s: %w", root+p, err)
		}
	}
	return nil
}

// Need makes the cgroup where it is missing for the limits r: as a whole, or with
// version 1 in the hierarchies of controllers, those of r and more. It returns
// the controllers with which there is no process in it yet: Gather moves them.
// Forget takes back what it has made, as long as that is so.
func (g *Group) Need(r *specs.LinuxResources, more ...string) (fresh []string, err error) {
	if err := g.system.check(g.path, r); err != nil {
		return nil, err
	}
	if g.system.Version == 2 {
		return g.need2(needed2(r))
	}
	if r != nil {
		more = append(more, g.needed1(r)...)
	}
	for _, controller := range more {
		if exists(g.dir1(controller)) {
			continue
		}
		if err := g.create1(controller); err != nil {
			return nil, errors.Join(err, g.Forget())
		}
		fresh = append(fresh, controller)
	}
	return fresh, nil
}

// Forget removes the directories made by Create or Need that have no process.
func (g *Group) Forget() error { return g.unmake() }
