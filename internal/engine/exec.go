// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"

	"strata/internal/container"
	"strata/internal/sandbox"
	"strata/internal/spawn"
)

// ExecOptions are what the command line asks of one more process in a running
// container. What is empty is as the container has it.
type ExecOptions struct {
	Command    []string
	Env        []string // NAME=VALUE
	User       string
	WorkDir    string
	Terminal   bool
	Privileged bool // with every capability
	Detached   bool // it lives on when we end, without streams
	cgroup     string
}

// An Execution is a process that was started in a running container. Wait must
// be called.
type Execution struct{ process *sandbox.Process }

// Exec starts a process in the running container called name. It ends when we
// do, unless it is detached. A container that does not run is a
// *container.StoppedError, a program that cannot be executed a *spawn.Error with
// Exec set.
func (e *Engine) Exec(name string, o ExecOptions, streams Streams) (*Execution, error) {
	running, entry, err := e.openRunning(name)
	if err != nil {
		return nil, err
	}
	defer running.Close()
	if o.cgroup, err = e.enterable(&entry); err != nil {
		return nil, err
	}
	process, err := e.enter(running, executing(entry.Record, o), o, streams)
	if err != nil && running.Ended() { // whatever failed, that is why
		return nil, &container.StoppedError{Name: entry.Record.DisplayName()}
	}
	if err != nil {
		return nil, err
	}
	return &Execution{process}, nil
}

// openRunning opens the sandbox of the running container called name.
func (e *Engine) openRunning(name string) (*sandbox.Running, container.Entry, error) {
	entry, err := e.containers.Running(name)
	if err != nil {
		return nil, entry, err
	}
	running, err := sandbox.OpenRunning(entry.State.Pid)
	if err == nil && entry.State.Alive() { // so it was that process all along
		return running, entry, nil
	}
	if err == nil {
		err = running.Close()
	}
	if err == nil || errors.Is(err, os.ErrProcessDone) {
		err = &container.StoppedError{Name: entry.Record.DisplayName()}
	}
	return nil, entry, err
}

// executing is the record of a container that had been made with o: what is
// started from it has the container's limits, capabilities and filter.
func executing(r container.Record, o ExecOptions) *container.Record {
	r.Config.Entrypoint, r.Config.Cmd = nil, o.Command
	r.Config.Env = mergeEnv(r.Config.Env, o.Env)
	if o.User != "" {
		r.Config.User = o.User
	}
	if o.WorkDir != "" {
		r.Config.WorkingDir = o.WorkDir
	}
	r.Host.Terminal = o.Terminal
	return &r
}

// enter starts what r describes in a running sandbox.
func (e *Engine) enter(running *sandbox.Running, r *container.Record, o ExecOptions, streams Streams) (*sandbox.Process, error) {
	entrant, err := running.Begin(o.cgroup)
	if err != nil {
		return nil, err
	}
	plan, err := e.planEntry(running, r, o, streams)
	if err != nil {
		return nil, errors.Join(err, entrant.Abandon())
	}
	return plan.Enter(entrant)
}

// planEntry looks for the user in files that are the container's by now.
func (e *Engine) planEntry(running *sandbox.Running, r *container.Record, o ExecOptions, streams Streams) (*sandbox.Plan, error) {
	u, err := recordUser(running.Root(), r)
	if err == nil {
		err = e.ids.check(u)
	}
	if err != nil {
		return nil, err
	}
	spec, err := e.spec(r, u)
	if err == nil && o.Privileged {
		err = privilege(spec, *r)
	}
	if err != nil {
		return nil, err
	}
	if spec.Process.Terminal {
		spec.Process.ConsoleSize = streams.size()
	}
	options, err := e.options(r, streams)
	if err != nil {
		return nil, err
	}
	options.Detached = o.Detached
	spec.Linux.CgroupsPath = o.cgroup
	return sandbox.NewEntry(spec, running, options)
}

// privilege gives the process of spec every capability that there is to give. Its
// filter stays the container's, as Docker has it.
func privilege(spec *specs.Spec, r container.Record) error {
	r.Host.Privileged = true
	set, err := capabilities(&r)
	spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: set, Effective: set, Permitted: set}
	return err
}

// Terminal is the controlling side of the process's terminal, or nil.
func (x *Execution) Terminal() *os.File { return x.process.Terminal }

// ForwardSignals sends the process the signals that were caught with
// spawn.CatchSignals, and those that will be until Wait returns.
func (x *Execution) ForwardSignals() { spawn.ForwardSignals(x.process.Process) }

// Settled is closed: nothing is written down of the process.
func (x *Execution) Settled() <-chan struct{} {
	settled := make(chan struct{})
	close(settled)
	return settled
}

// Wait waits for the process's end and returns its exit code, 128 and the number
// for a signal. Of a detached one it returns at once.
func (x *Execution) Wait() (int, error) {
	status, err := x.process.Wait()
	spawn.StopForwarding()
	return exitCode(status), errors.Join(err, x.process.Pidfd.Close())
}
