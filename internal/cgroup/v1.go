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
		return missing(controller)
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

func missing(controller string) error {
	return &Error{
		Op: "cgroup controller " + controller, Errno: os.ErrNotExist,
		Hint: "limits of " + controller + " cannot be had here: is it mounted, and not in cgroup_disable= of the kernel's command line?",
	}
}

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

// Need makes the cgroup in the hierarchies of controllers that it is not in yet
// (version 1) and returns those that are new: they have no process.
func (g *Group) Need(controllers ...string) (fresh []string, err error) {
	if g.system.Version != 1 {
		return nil, nil
	}
	for _, controller := range controllers {
		if exists(g.dir1(controller)) {
			continue
		}
		if err := g.create1(controller); err != nil {
			return fresh, errors.Join(err, g.unmake())
		}
		fresh = append(fresh, controller)
	}
	return fresh, nil
}
