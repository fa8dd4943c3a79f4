// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"strata/internal/container"
	"strata/internal/oci"
	"strata/internal/sandbox"
	"strata/internal/spawn"
)

// Streams are the standard streams of a foreground process.
type Streams struct {
	Stdin, Stdout, Stderr *os.File
}

// size is that of the terminal that Stdout is, or nil: the program may ask for
// it at once.
func (s Streams) size() *specs.Box {
	if s.Stdout == nil {
		return nil
	}
	size, err := unix.IoctlGetWinsize(int(s.Stdout.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return nil
	}
	return &specs.Box{Height: uint(size.Row), Width: uint(size.Col)}
}

// A Running container is one whose process was started here. Wait must be
// called.
type Running struct {
	container *container.Container
	process   *sandbox.Process
	ids       *idRange
	started   time.Time
	engine    *Engine
	settled   chan struct{}
	noted     bool // it is written down that it runs, so other commands may have changed it
	oomKilled bool
}

// A Child is the process of a container that has no root filesystem yet, with
// its range of ids.
type Child struct {
	sandbox *sandbox.Child
	ids     *idRange
	joined  lowers // namespaces of other containers, until they have been entered
}

// begin starts the child of a container, in the namespaces of others that it
// enters.
func (e *Engine) begin(r *container.Record) (*Child, error) {
	joined, err := e.findJoined(r, byDescriptor)
	if err != nil {
		return nil, err
	}
	ids, err := takeIDs(r)
	if err != nil {
		return nil, errors.Join(err, joined.close())
	}
	spec := beginning(r)
	e.ids.adapt(spec)
	useIDs(spec, ids)
	var child *sandbox.Child
	if err = e.useCgroup(spec, r); err == nil {
		child, err = sandbox.Begin(spec)
	}
	if err != nil {
		return nil, errors.Join(err, ids.Close(), joined.close())
	}
	return &Child{child, ids, joined}, nil
}

// Abandon ends the child.
func (c *Child) Abandon() error {
	return errors.Join(c.sandbox.Abandon(), c.ids.Close(), c.joined.close())
}

// CreateToRun is Create for a container that is started at once: the kernel
// makes its namespaces meanwhile. Start or Abandon must follow for the child.
func (e *Engine) CreateToRun(o CreateOptions) (*container.Container, *Child, error) {
	r, err := e.record(o)
	if err != nil {
		return nil, nil, err
	}
	lease, err := e.store.Share() // its cgroup comes before the container, and must not be collected
	if err != nil {
		return nil, nil, err
	}
	child, err := e.begin(&r)
	if err != nil {
		return nil, nil, errors.Join(err, lease.Close())
	}
	e.Trace.Mark("begin the first process")
	c, err := e.createWith(lease, r, o)
	if err != nil {
		return nil, nil, errors.Join(err, child.Abandon())
	}
	e.Trace.Mark("find the image, make the container's directory")
	return c, child, nil
}

// Start starts a locked container in the foreground; it ends when we do. Its
// child may have been begun, or is nil. A program that cannot be executed is a
// *spawn.Error with Exec set.
func (e *Engine) Start(c *container.Container, child *Child, streams Streams) (*Running, error) {
	if child == nil {
		if at := mountedAt(c); at != "" {
			return nil, fmt.Errorf("start container %s: it is mounted at %s; unmount it first (strata umount %s)",
				c.Record.DisplayName(), at, c.Record.DisplayName())
		}
		err := errors.Join(e.settle(c), e.dropCgroup(&c.Record))
		if err != nil {
			return nil, err
		}
		if child, err = e.begin(&c.Record); err != nil {
			return nil, err
		}
	}
	process, err := e.startProcess(c, child, streams)
	if err != nil {
		return nil, errors.Join(err, e.failed(c, err))
	}
	return &Running{container: c, process: process, ids: child.ids, started: time.Now().UTC(), engine: e, settled: make(chan struct{})}, nil
}

// failed notes that a container could not be started.
func (e *Engine) failed(c *container.Container, cause error) error {
	if c.Record.AutoRemove {
		return nil
	}
	now := time.Now().UTC()
	return c.SetState(container.State{
		Status: container.Created, Started: now, Finished: now, ExitCode: ExitCode(cause), Error: cause.Error(),
	})
}

// startProcess plans the sandbox when its root filesystem is mounted, in which
// the user is found. The child is gone after an error.
func (e *Engine) startProcess(c *container.Container, child *Child, streams Streams) (*sandbox.Process, error) {
	root, err := e.mountFor(c, child)
	if err != nil {
		return nil, errors.Join(err, child.Abandon())
	}
	defer root.Close()
	e.Trace.Mark("mount the root filesystem")
	plan, err := e.plan(&c.Record, root, child.ids, streams)
	if err != nil {
		return nil, errors.Join(err, child.Abandon())
	}
	e.Trace.Mark("find the user, plan the sandbox")
	process, err := plan.Start(child.sandbox, root)
	e.traceStart(plan, child)
	child.joined.close()
	if err != nil {
		return nil, errors.Join(err, child.ids.Close())
	}
	return process, nil
}

func (e *Engine) traceStart(plan *sandbox.Plan, child *Child) {
	if e.Trace == nil {
		return
	}
	e.Trace.markAt("make /dev and its like, open what is mounted on, list the calls", plan.Prepared)
	e.Trace.Mark("wait until the first process has executed the program")
	e.Trace.child = child.sandbox.Spans()
}

// mountFor mounts the root filesystem, with ids as the child has them.
func (e *Engine) mountFor(c *container.Container, child *Child) (*os.File, error) {
	userns, err := child.sandbox.MapIDs()
	if err != nil {
		return nil, err
	}
	return e.mountContainer(c, child.ids, userns)
}

func (e *Engine) plan(r *container.Record, root *os.File, ids *idRange, streams Streams) (*sandbox.Plan, error) {
	u, err := recordUser(root, r)
	if err != nil {
		return nil, err
	}
	if err := e.ids.check(u); err != nil {
		return nil, err
	}
	spec, err := e.firstSpec(r, u)
	if err != nil {
		return nil, err
	}
	useIDs(spec, ids)
	if spec.Process.Terminal {
		spec.Process.ConsoleSize = streams.size()
	}
	options, err := e.options(r, streams)
	if err != nil {
		return nil, err
	}
	options.Init = r.Host.Init
	return sandbox.NewPlan(spec, options)
}

// options are what each process of a container has beside its specification.
func (e *Engine) options(r *container.Record, streams Streams) (sandbox.Options, error) {
	filter, err := e.filter(r)
	return sandbox.Options{
		Seccomp: filter, Stdin: streams.Stdin, Stdout: streams.Stdout, Stderr: streams.Stderr,
	}, err
}

// OOMKilled reports, after Wait, whether the kernel has killed a process of the
// container for want of memory.
func (r *Running) OOMKilled() bool { return r.oomKilled }

// Terminal is the controlling side of the container's terminal, or nil.
func (r *Running) Terminal() *os.File { return r.process.Terminal }

// ForwardSignals sends the container's first process the signals that were
// caught with spawn.CatchSignals, and those that will be until Wait returns.
func (r *Running) ForwardSignals() { spawn.ForwardSignals(r.process.Process) }

// short is how long a container may run before it is written down that it
// does: until then others see that it is locked, and most that are removed at
// their end never need a file.
const short = 10 * time.Millisecond

// Settled is closed by Wait once it is written down that the container runs, or
// need not be. Whoever stops us earlier keeps other commands from it.
func (r *Running) Settled() <-chan struct{} { return r.settled }

// Wait waits for the container's end and returns its exit code, 128 and the
// number for a signal. The container stays locked.
func (r *Running) Wait() (int, error) {
	var noteErr error
	if !r.process.EndsWithin(short) {
		noteErr = r.note()
	}
	close(r.settled)
	status, err := r.process.Wait()
	if err != nil {
		return 0, err
	}
	code := exitCode(status)
	spawn.StopForwarding()
	oomKilled, groupErr := r.endCgroup()
	r.oomKilled = oomKilled
	err = errors.Join(noteErr, groupErr, r.process.Pidfd.Close(), r.ids.Close())
	if r.container.Record.AutoRemove {
		return code, err
	}
	return code, errors.Join(err, r.container.SetState(container.State{
		Status: container.Exited, Started: r.started, Finished: time.Now().UTC(), ExitCode: code, OOMKilled: oomKilled,
	}))
}

// note writes down that the container runs. One that is removed at its end can
// do without, on a full disk for example.
func (r *Running) note() error {
	state := container.NewRunning(r.process.Pid, r.started)
	if r.process.Cgroup != nil {
		state.Cgroup = r.process.Cgroup.Path()
	}
	r.noted = true
	err := errors.Join(r.container.SetState(state), r.container.Publish())
	if r.container.Record.AutoRemove {
		return nil
	}
	return err
}

// Explain writes the shell commands that would start a container made with o,
// and makes nothing.
func (e *Engine) Explain(o CreateOptions, w io.Writer) error {
	r, err := e.record(o)
	if err != nil {
		return err
	}
	if err := e.shared(func() error { return e.complete(&r, o) }); err != nil {
		return err
	}
	joined, err := e.findJoined(&r, (*os.File).Name)
	if err != nil {
		return err
	}
	defer joined.close()
	u, err := e.lookupUserBelow(&r)
	if err != nil {
		return err
	}
	shell, err := e.rootShell(&r)
	if err != nil {
		return err
	}
	spec, err := e.firstSpec(&r, u)
	if err != nil {
		return err
	}
	filter, err := e.newFilter(&r)
	if err != nil {
		return err
	}
	plan, err := sandbox.NewPlan(spec, sandbox.Options{Seccomp: filter, Init: r.Host.Init, RootShell: shell})
	if err != nil {
		return err
	}
	return plan.Explain(w)
}

// lookupUserBelow finds the user in the stack alone, for a container that is
// not made.
func (e *Engine) lookupUserBelow(r *container.Record) (user, error) {
	lower, err := e.openLowers(r)
	if err != nil {
		return user{}, err
	}
	defer lower.close()
	if r.Rootfs != "" { // nothing to merge, and no layer goes with one that it lies in
		return lookupUser(lower[0], r.Config.User)
	}
	root, err := e.mountView(lower, nil)
	if err != nil {
		return user{}, err
	}
	defer root.Close()
	return recordUser(root, r)
}

// rootShell are the commands that make the container's root, as mountContainer
// does it by descriptors.
func (e *Engine) rootShell(r *container.Record) ([]sandbox.Line, error) {
	stack, err := e.lowerPaths(r)
	if err != nil {
		return nil, err
	}
	options := "nodev,lowerdir=$lower,upperdir=$c/upper,workdir=$c/work,index=off,metacopy=off,redirect_dir=nofollow"
	if r.AutoRemove {
		options += ",volatile"
	}
	if e.marks.UserXattr {
		options += ",userxattr"
	}
	return []sandbox.Line{
		{Command: "lower=" + sandbox.Quote(stack), Why: "the read-only layers, newest first, shared by all"},
		{Command: "c=" + sandbox.Quote(filepath.Join(e.root, "containers", r.ID)), Why: "this container's own directory"},
		{Command: `mkdir -p "$c/upper" "$c/work" "$c/root"; root=$c/root`, Why: "upper takes what is written, work is the kernel's"},
		{Command: `mount -t overlay -o "` + options + `" overlay "$root"`, Why: "reads fall through to the layers, writes go to upper"},
	}, nil
}

// lowerPaths is the value of lowerdir= with the escapes that mount(8) needs.
func (e *Engine) lowerPaths(r *container.Record) (string, error) {
	lower, err := e.openLowers(r)
	if err != nil {
		return "", err
	}
	defer lower.close()
	var joined string
	for _, f := range lower {
		path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
		if err != nil {
			return "", err
		}
		if joined != "" {
			joined = ":" + joined
		}
		joined = escapeLower(path) + joined
	}
	return joined, nil
}

// settle finishes or takes back a commit that was interrupted while it sealed
// the container's upperdir.
func (e *Engine) settle(c *container.Container) error {
	r := c.Record
	if r.Sealing == "" {
		return nil
	}
	if _, err := e.store.Layer(r.Sealing); errors.Is(err, os.ErrNotExist) {
		r.Layers = r.Layers[:len(r.Layers)-1]
	} else if err != nil {
		return err
	}
	r.Sealing = oci.Digest("")
	if err := c.RenewUpper(); err != nil {
		return err
	}
	return c.Rebase(r)
}
