// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"errors"
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// Set gives the cgroup limits. What r does not name stays as it is. When the
// kernel refuses one, those that were set before are taken back.
//
// Some values are valid only beside others, memory beside memory and swap,
// period beside quota, and which must come first depends on the old ones. So
// what is refused is tried again as long as another is taken.
func (g *Group) Set(r *specs.LinuxResources) error {
	todo, err := g.system.settings(r)
	if err != nil {
		return err
	}
	var undo []setting
	for len(todo) > 0 {
		refused, first, err := g.setAll(todo, &undo)
		if err != nil && len(refused) == len(todo) {
			g.takeBack(undo)
			return &Error{Op: "set " + first.limit, Errno: cause(err), Hint: g.hint(first, err)}
		}
		todo = refused
	}
	return nil
}

// hint says what to do about a setting that was refused, with what the kernel
// would take where that is known.
func (g *Group) hint(s setting, err error) string {
	switch {
	case isErrno(err, unix.EBUSY), isErrno(err, unix.EACCES), isErrno(err, unix.EPERM), errors.Is(err, os.ErrNotExist):
	case s.controller == "cpuset":
		if online := g.online(s.file); online != "" {
			return "there are " + online
		}
	case s.controller == "cpu" && strings.HasPrefix(s.limit, "cpu quota"):
		return "a period is 1000 to 1000000 µs, and a quota at least 1000 µs"
	}
	return limitHint(err)
}

// online are the processors or memory nodes of the cgroup above. The root of
// version 2 has only the file of those that are in effect, which all have there
// (cgroup-v2.rst, "Cpuset Interface Files").
func (g *Group) online(file string) string {
	dir := g.dirOf("cpuset")
	if g.system.Version == 2 {
		file += ".effective"
	}
	online, _ := read(dir[:strings.LastIndexByte(dir, '/')] + "/" + file) // unreadable: the hint is another
	return online
}

// setAll returns the settings that were refused, and why the first one was.
func (g *Group) setAll(all []setting, undo *[]setting) (refused []setting, first setting, err error) {
	for _, s := range all {
		old, readErr := g.old(s)
		if setErr := g.set(s); setErr != nil {
			if err == nil {
				first, err = s, setErr
			}
			refused = append(refused, s)
		} else if readErr == nil {
			*undo = append(*undo, old)
		}
	}
	return refused, first, err
}

// set writes one value.
func (g *Group) set(s setting) error {
	dir := g.dirOf(s.controller)
	err := write(dir+"/"+s.file, s.value)
	if errors.Is(err, os.ErrNotExist) && s.instead != nil {
		err = write(dir+"/"+s.instead.file, s.instead.value)
	}
	if errors.Is(err, os.ErrNotExist) && s.without != nil && s.without() {
		return nil
	}
	return err
}

// old is the setting that puts back what s replaces.
func (g *Group) old(s setting) (setting, error) {
	text, err := read(g.dirOf(s.controller) + "/" + s.file)
	device, _, hasDevice := strings.Cut(s.value, " ")
	if !hasDevice || s.file == "cpu.max" {
		s.value = text
		return s, err
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, device+" ") {
			s.value = strings.TrimSuffix(line, "\n")
			return s, err
		}
	}
	s.value = device + " 0"
	if s.file == "io.max" {
		s.value = device + " rbps=max wbps=max riops=max wiops=max"
	}
	return s, err
}

// takeBack puts old values back, the newest first. They were valid together, and
// what is refused now may be taken once others are back.
func (g *Group) takeBack(undo []setting) {
	for range undo {
		for i := len(undo) - 1; i >= 0; i-- {
			g.set(undo[i])
		}
	}
}

// Add moves a process into the cgroup, with all its threads.
func (g *Group) Add(pid int) error {
	for _, dir := range g.dirs() {
		if err := write(dir+"/cgroup.procs", number(int64(pid))); err != nil {
			return &Error{Op: "move a process into cgroup " + dir, Errno: cause(err), Hint: addHint(err)}
		}
	}
	return nil
}

// Tasks opens the files by which a thread enters the cgroup when it writes "0"
// to each; with version 2 there are none. The caller closes them.
func (g *Group) Tasks() (files []*os.File, err error) {
	if g.system.Version == 2 {
		return nil, nil
	}
	for _, dir := range g.dirs() {
		fd, openErr := linux.OpenAt(unix.AT_FDCWD, dir+"/tasks", unix.O_WRONLY, 0)
		if openErr != nil {
			err = errors.Join(err, &os.PathError{Op: "open", Path: dir + "/tasks", Err: openErr})
			continue
		}
		files = append(files, os.NewFile(uintptr(fd), dir))
	}
	return files, err
}

func addHint(err error) string {
	switch {
	case isErrno(err, unix.EAGAIN): // fork limits count on moving too, for version 2 not
		return "its limit of processes is reached"
	case isErrno(err, unix.EBUSY):
		return "cgroups are made inside it, so it takes no processes itself (cgroup v2, no internal processes)"
	case errors.Is(err, os.ErrPermission):
		return "run it as root, or let a cgroup be delegated to you (systemd: Delegate=yes)"
	}
	return ""
}
