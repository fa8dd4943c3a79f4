// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// needed2 are the controllers that limits need.
func needed2(r *specs.LinuxResources) []string {
	var need []string
	all, _ := System{Version: 2}.settings(r)
	for _, s := range all {
		if s.controller != "" && !slices.Contains(need, s.controller) { // "": every cgroup has the file
			need = append(need, s.controller)
		}
	}
	return need
}

// enable lets the cgroups in dir have controllers. Version 1 needs none of that.
func (g *Group) enable(dir string, need []string) error {
	if len(need) == 0 {
		return nil
	}
	text, err := read(dir + "/cgroup.subtree_control")
	if err != nil {
		return err
	}
	enabled := strings.Fields(text)
	for _, controller := range need {
		if slices.Contains(enabled, controller) {
			continue
		}
		if err := enableOne(dir, controller); err != nil {
			return err
		}
	}
	return nil
}

// need2 makes the cgroup, or only gives it controllers.
func (g *Group) need2(need []string) (fresh []string, err error) {
	if !g.Exists() {
		if err := g.create(g.system.Root, need); err != nil {
			return nil, errors.Join(err, g.Forget())
		}
		return []string{""}, nil
	}
	dir := g.system.Root
	for step := range strings.SplitSeq(g.path[1:], "/") {
		if err := g.enable(dir, need); err != nil {
			return nil, err
		}
		dir += "/" + step
	}
	return nil, nil
}

func enableOne(dir, controller string) error {
	err := write(dir+"/cgroup.subtree_control", "+"+controller)
	if err == nil {
		return nil
	}
	hint := limitHint(err)
	switch available, _ := read(dir + "/cgroup.controllers"); {
	case !slices.Contains(strings.Fields(available), controller):
		return &MissingError{controller}
	case isErrno(err, unix.EBUSY): // "no internal processes" (cgroup-v2.rst)
		hint = "there are processes in " + dir + " itself: move them to a cgroup in it, or name another with --cgroup-parent"
	}
	return &Error{Op: "enable cgroup controller " + controller + " in " + dir, Errno: cause(err), Hint: hint}
}

// Parent is where a cgroup goes when nobody has said it: root has the
// hierarchy's root. An ordinary user has what was delegated to him: the highest
// cgroup above our own that he may change and that has no processes itself, or
// "/", where he will be refused.
func (s System) Parent(root bool) string {
	if root || s.Version != 2 {
		return "/"
	}
	found := "/"
	for own := Own(); own != "/" && s.delegated(own); own = path.Dir(own) {
		if procs, err := read(s.Root + own + "/cgroup.procs"); err == nil && procs == "" || found == "/" {
			found = own
		}
	}
	return found
}

// delegated reports whether we may make cgroups in p and move processes to them
// (cgroup-v2.rst, "Delegation").
func (s System) delegated(p string) bool {
	return unix.Access(s.Root+p, unix.W_OK) == nil && unix.Access(s.Root+p+"/cgroup.procs", unix.W_OK) == nil
}

// Own is the cgroup of version 2 that this process is in, "/" for none
// (cgroups(7), "/proc files").
func Own() string {
	text, err := read("/proc/self/cgroup")
	if err != nil {
		return "/"
	}
	for line := range strings.Lines(text) {
		if own, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok && path.IsAbs(own) && !strings.Contains(own, "..") {
			return own
		}
	}
	return "/"
}

// Controllers are those whose limits can be had.
func (s System) Controllers() []string { return s.ControllersAt("/") }

// ControllersAt are those whose limits can be had in cgroups made in the one at p.
func (s System) ControllersAt(p string) []string {
	if s.Version == 2 {
		text, _ := read(path.Join(s.Root, p, "cgroup.controllers"))
		return strings.Fields(text)
	}
	var found []string
	for _, c := range controllers1 {
		if s.Version == 1 && exists(s.Root+"/"+c+"/cgroup.procs") {
			found = append(found, c)
		}
	}
	return found
}

// Writable reports whether cgroups can be made in the one at p.
func (s System) Writable(p string) bool {
	root := s.Root
	if s.Version == 1 {
		root += "/" + append(s.Controllers(), "none")[0]
	}
	return s.Version != 0 && unix.Access(root+p, unix.W_OK) == nil
}

// swapIsOn reports whether anything can be swapped out at all.
func swapIsOn() bool {
	text, err := read("/proc/swaps")
	return err != nil || strings.Contains(text, "\n")
}

func isErrno(err error, errno unix.Errno) bool { return cause(err) == errno }

// cause is the errno beneath an error of a file.
func cause(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}
