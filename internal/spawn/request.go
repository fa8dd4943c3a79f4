// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawCall and rawRequest are read by the assembly at fixed offsets.
type rawCall struct {
	nr             uintptr
	args           [6]uintptr
	tolerate       uintptr // 0, an errno, or ^0 for any
	skipOnError    uintptr
	skipOnPositive uintptr
	result         int
	save, saved    uintptr // booleans
}

type rawRequest struct {
	blocked uint64 // every signal, while parent and child share memory
	mask    uint64 //lint:ignore U1000 the parent's own mask: the assembly keeps it here and puts it back
	nr      uintptr
	args    [5]uintptr
	calls   *rawCall
	n       uintptr
}

// What a rawCall's result holds before the call is made, and while it runs.
// They are outside what a system call returns (-4095 and up, or a small number).
const (
	notReached = -1 << 32
	running    = -1<<32 + 1 // an execve that succeeded stays so: it does not return
)

// run blocks signals, clones as the request says, lets the child make the
// calls, and returns the child's process id or a negated errno.
//
//go:noescape
func run(r *rawRequest) int

// cloneArgs is struct clone_args of clone3(2), up to the field for a cgroup.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal uint64
	stack, stackSize, tls, setTID, setTIDSize     uint64
	cgroup                                        uint64
}

type request struct {
	raw   rawRequest
	calls []rawCall
	list  *List
	clone cloneArgs
}

const share = unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_PIDFD

func newRequest(l *List, o Options, pidfd *int32) *request {
	r := &request{list: l, calls: defaultSignals(l)}
	for _, c := range l.calls {
		r.calls = append(r.calls, c.raw())
	}
	r.clone = cloneArgs{
		flags:      uint64(o.Namespaces) | share,
		pidfd:      uint64(uintptr(unsafe.Pointer(pidfd))),
		exitSignal: uint64(unix.SIGCHLD),
	}
	if o.Cgroup != nil {
		r.clone.flags |= unix.CLONE_INTO_CGROUP
		r.clone.cgroup = uint64(o.Cgroup.Fd())
	}
	r.raw = rawRequest{blocked: ^uint64(0), nr: unix.SYS_CLONE3}
	r.raw.args[0] = uintptr(unsafe.Pointer(&r.clone))
	r.raw.args[1] = unsafe.Sizeof(r.clone)
	r.raw.calls, r.raw.n = unsafe.SliceData(r.calls), uintptr(len(r.calls))
	return r
}

func (c Call) raw() rawCall {
	raw := rawCall{
		nr: c.Nr, args: c.Args, tolerate: uintptr(c.Tolerate),
		skipOnError: uintptr(c.SkipOnError), skipOnPositive: uintptr(c.SkipOnPositive),
		result: notReached,
	}
	if c.Exec {
		raw.tolerate = ^uintptr(0)
	}
	if c.Save {
		raw.save = 1
	}
	if c.Saved {
		raw.saved = 1
	}
	return raw
}

// defaultSignals are the calls that give every signal its default action.
// Go's handlers must never run in the child, and what our caller ignores is
// nothing to the program.
func defaultSignals(l *List) []rawCall {
	var action [4]uint64 // struct sigaction: SIG_DFL, no flags
	at := Pin(l, &action)
	calls := make([]rawCall, 0, 64+len(l.calls))
	for signal := uintptr(1); signal <= 64; signal++ {
		c := Call{Nr: unix.SYS_RT_SIGACTION, Args: [6]uintptr{signal, at, 0, 8}, Tolerate: unix.EINVAL}
		calls = append(calls, c.raw()) // EINVAL: SIGKILL and SIGSTOP
	}
	return calls
}

// useClone turns the request to the older clone(2).
func (r *request) useClone(o Options, pidfd *int32) {
	r.raw.nr = unix.SYS_CLONE
	r.raw.args = [5]uintptr{o.Namespaces | share | uintptr(unix.SIGCHLD), 0, uintptr(unsafe.Pointer(pidfd))}
}

// outcome reads the results that the child left behind. Neighbouring execve
// calls are candidates for one program, of which one must have succeeded.
func (r *request) outcome() error {
	results := r.calls[len(r.calls)-len(r.list.calls):]
	var failed *Error
	executed := false
	for i, c := range r.list.calls {
		switch errno := results[i].errno(); {
		case c.Exec && results[i].result == running:
			executed, failed = true, nil
		case c.Exec && errno != 0:
			if failed == nil || notFound(failed.Errno) && !notFound(errno) {
				failed = &Error{Call: c.Name, Exec: true, Errno: errno}
			}
		case !c.Exec && failed != nil:
			return failed
		case !c.Exec && errno != 0 && c.Tolerate != AnyError && c.Tolerate != errno:
			return &Error{Call: c.Name, Errno: errno}
		}
	}
	if failed != nil {
		return failed
	}
	if !executed {
		return &Error{Call: "start a process: the list ended without execve", Errno: unix.ECHILD}
	}
	return nil
}

// errno is the error a call ended with, zero for none and for a call that was
// not made.
func (c *rawCall) errno() unix.Errno {
	if c.result < 0 && c.result >= -4095 {
		return unix.Errno(-c.result)
	}
	return 0
}

func notFound(e unix.Errno) bool { return e == unix.ENOENT || e == unix.ENOTDIR }
