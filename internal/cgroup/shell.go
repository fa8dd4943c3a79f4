// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"strata/internal/linux"
)

// A Command is what a person would type, and why.
type Command struct{ Command, Why string }

// A Script does what Create, Set, Add and Remove do.
type Script struct{ Make, Enter, Remove []Command }

// Shell shows the cgroup at path with the limits r.
func (s System) Shell(path string, r *specs.LinuxResources) (script Script, err error) {
	all, err := s.settings(r)
	if err != nil {
		return script, err
	}
	g := s.Open(path)
	controllers := []string{""}
	if s.Version == 1 {
		controllers = g.needed1(r)
	}
	for _, controller := range controllers {
		dir := g.dirOf(controller)
		script.Make = append(script.Make, Command{"mkdir -p " + quote(dir), "a cgroup takes limits"})
		script.Enter = append(script.Enter, Command{"echo 0 > " + quote(dir+"/cgroup.procs"), "this shell, and what it becomes, is in the cgroup"})
		script.Remove = append(script.Remove, Command{"rmdir " + quote(dir), "nothing is in it any more"})
	}
	for _, set := range all {
		script.Make = append(script.Make, Command{"echo " + quote(set.value) + " > " + quote(g.dirOf(set.controller)+"/"+set.file), set.limit})
	}
	return script, nil
}

func quote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,-./:=_"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// OpenFile opens the directory of a cgroup that exists, for File. With version 1
// there is none to open.
func (g *Group) OpenFile() (err error) {
	if g.system.Version == 2 {
		g.dir, err = linux.OpenDir(g.system.Root + g.path)
	}
	return err
}
