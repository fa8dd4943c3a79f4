// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Child is a clone that has made its first calls, or is making them, and
// waits for the others. Continue or Abandon must follow.
type Child struct {
	options Options
	request *request
	process *Process // once the clone has been made
	gate    int      // an eventfd: what is written to it lets the child go on
	// executed is when the child was seen to share our memory no longer.
	executed instant
}

// Begin clones a child, which makes the calls of first and then waits for Next or
// Continue. The clone is made beside the caller: making namespaces takes the
// kernel a millisecond, and a child can begin with less than all that its list
// needs.
//
// The child has every signal blocked and at its default action; the list
// unblocks them before it executes. Until Continue it shares this process's
// descriptors: first closes what it opens. It is killed when this process ends,
// as after DieWithParent. A list may be used once.
func Begin(first *List, o Options) (*Child, error) {
	c, err := newChild(first, o)
	if err != nil {
		return nil, err
	}
	if err := c.request.run(); err != nil {
		return nil, errors.Join(err, unix.Close(c.gate))
	}
	return c, nil
}

func newChild(first *List, o Options) (*Child, error) {
	gate, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_SEMAPHORE) // no os.File, for which Go would begin to poll
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &Child{options: o, request: newRequest(first, o, gate), gate: gate}, nil
}

// Process waits for the clone and returns the child as it is by now.
func (c *Child) Process() (*Process, error) {
	if c.process != nil {
		return c.process, nil
	}
	r := c.request
	await(&r.raw.cloning)
	if r.raw.result == -int(unix.ENOSYS) { // clone3 hidden by a seccomp filter around us
		r.useClone(c.options)
		if err := r.run(); err != nil {
			return nil, err
		}
		await(&r.raw.cloning)
	}
	if r.raw.entered < 0 {
		return nil, &Error{Call: "enter the pid namespace", Errno: unix.Errno(-r.raw.entered)}
	}
	if r.raw.result < 0 {
		return nil, &Error{Call: fmt.Sprintf("clone with flags %#x", c.options.Namespaces), Errno: unix.Errno(-r.raw.result)}
	}
	c.process = &Process{Pid: r.raw.result, Pidfd: os.NewFile(uintptr(r.pidfd), "pidfd")}
	if r.raw.nr == unix.SYS_CLONE && c.options.Cgroup != nil {
		return c.process, c.enterCgroup()
	}
	return c.process, nil
}

// enterCgroup moves a child that the older clone(2) has made.
func (c *Child) enterCgroup() error {
	fd, err := unix.Openat(int(c.options.Cgroup.Fd()), "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: c.options.Cgroup.Name() + "/cgroup.procs", Err: err}
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, strconv.AppendInt(nil, int64(c.process.Pid), 10))
	return os.NewSyscallError("write to cgroup.procs", err)
}

// wait adds the call by which a child waits at the end of a list.
func (l *List) wait(gate int) {
	l.Add(Call{Name: "wait for the parent", Nr: unix.SYS_READ, Args: [6]uintptr{uintptr(gate), Pin(l, new(uint64)), 8}})
}

// Next lets the child make the calls of l, once it has made those before, and
// then wait again. What becomes of them, Continue says.
func (c *Child) Next(l *List) error {
	l.wait(c.gate)
	c.request.add(newPart(nil, l))
	return c.letOn()
}

func (c *Child) letOn() error {
	_, err := unix.Write(c.gate, binary.NativeEndian.AppendUint64(nil, 1))
	return os.NewSyscallError("write to eventfd", err)
}

// Continue lets the child make the calls of rest and returns when it has
// executed a program or has stopped; then the error is an *Error and the child
// is gone. Calls marked Exec tolerate one another's errors as execvp(3) does:
// the error reported is the first one that is not "no such file".
func (c *Child) Continue(rest *List) (*Process, error) {
	defer unix.Close(c.gate)
	p, err := c.Process()
	if err != nil {
		return nil, err
	}
	if err := c.finish(rest); err != nil {
		return nil, errors.Join(err, p.discard())
	}
	return p, nil
}

func (c *Child) finish(rest *List) error {
	ends := [2]int{-1, -1} // close-on-exec: the child has them until it has been given its own memory
	if rest.Replaced {
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			return os.NewSyscallError("pipe2", err)
		}
		defer unix.Close(ends[0])
	}
	c.request.add(newPart(ownFiles(), rest))
	err := c.letOn()
	if err == nil {
		await(&c.request.alive)
	}
	if rest.Replaced {
		unix.Close(ends[1])
	}
	if err != nil {
		return err
	}
	c.executed = now()
	if err := c.request.outcome(); err != nil || !rest.Replaced {
		return err
	}
	for { // there is nothing to read but the end
		if _, err := unix.Read(ends[0], make([]byte, 1)); err != unix.EINTR {
			c.awaitMemory()
			return os.NewSyscallError("read from a pipe", err)
		}
	}
}

// awaitMemory waits while the kernel gives the child its own memory: Debian's 6.1
// has been seen to close descriptors before that, so the end of a pipe does not
// tell. Where comparing is forbidden there is nothing more to wait for.
func (c *Child) awaitMemory() {
	const vm = 1 // KCMP_VM, linux/kcmp.h: equal is 0
	for {
		order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(os.Getpid()), uintptr(c.process.Pid), vm, 0, 0, 0)
		if order != 0 || errno != 0 {
			return
		}
		runtime.Gosched()
	}
}

// Abandon ends and reaps the child.
func (c *Child) Abandon() error {
	defer unix.Close(c.gate)
	p, err := c.Process()
	if err != nil {
		return err
	}
	return p.discard()
}

// discard ends and reaps a child that has not become what it should. It may be
// alive even after its list has failed: an init whose own child could not
// execute.
func (p *Process) discard() error {
	unix.Kill(p.Pid, unix.SIGKILL)
	_, err := p.Wait()
	return errors.Join(err, p.Pidfd.Close())
}

// await waits until word is zero. Who makes it so wakes us.
func await(word *uint32) {
	for {
		value := atomic.LoadUint32(word)
		if value == 0 {
			return
		}
		const wait = 0 // FUTEX_WAIT: not private, as the kernel's own wake is not
		unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), wait, uintptr(value), 0, 0, 0)
	}
}
