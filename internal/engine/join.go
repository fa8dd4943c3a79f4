// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"

	"strata/internal/container"
	"strata/internal/linux"
)

// modes are those of r that can name another container.
func modes(r *container.Record) map[string]*string {
	i := &r.Host.Isolation
	return map[string]*string{"--network": &r.Host.Network, "--pid": &i.PidMode, "--ipc": &i.IpcMode, "--uts": &i.UTSMode}
}

// resolveModes replaces the names of containers in modes by their ids, and takes
// the hostname from where it comes.
func (e *Engine) resolveModes(r *container.Record) error {
	for flag, mode := range modes(r) {
		name := container.Joined(*mode)
		if name == "" {
			continue
		}
		other, err := e.containers.Entry(name)
		if err != nil {
			return fmt.Errorf("%s %s: %w", flag, *mode, err)
		}
		*mode = "container:" + other.Record.ID
		if flag == "--ipc" && other.Record.Host.IpcMode != "shareable" {
			return fmt.Errorf("--ipc container:%s: it shares its ipc namespace with nobody; make that one with --ipc shareable", name)
		}
		if flag == "--network" {
			r.Host.Hostname = other.Record.Host.Hostname
		}
	}
	if r.Host.UTSMode == "host" {
		name, err := os.Hostname()
		if err != nil {
			return err
		}
		r.Host.Hostname = name
	}
	return nil
}

// findJoined opens the namespaces of the containers that r enters. The caller
// closes them when they have been entered, by way of r.Joined, which gets the path
// of each.
func (e *Engine) findJoined(r *container.Record, path func(*os.File) string) (opened lowers, err error) {
	r.Joined = nil
	for flag, mode := range modes(r) {
		id := container.Joined(*mode)
		if id == "" {
			continue
		}
		dir, err := e.openNamespaces(id)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s container:%.12s: %w", flag, id, err), opened.close())
		}
		opened = append(opened, dir)
		if r.Joined == nil {
			r.Joined = map[string]string{}
		}
		r.Joined[id] = path(dir)
	}
	return opened, nil
}

// byDescriptor is a path that leads to f whatever becomes of its name.
func byDescriptor(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// openNamespaces opens the directory of the namespaces of the container id. It
// is the directory of one process, whatever becomes of its number, and the
// container's if that is alive when it is open.
func (e *Engine) openNamespaces(id string) (*os.File, error) {
	running, err := e.containers.Running(id)
	if err != nil {
		return nil, err
	}
	dir, err := linux.OpenDir(fmt.Sprintf("/proc/%d/ns", running.State.Pid))
	if err != nil {
		return nil, err
	}
	if !running.State.Alive() {
		return nil, errors.Join(errors.New("it has just ended"), dir.Close())
	}
	return dir, nil
}
