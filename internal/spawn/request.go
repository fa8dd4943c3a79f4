// SPDX-License-Identifier: Apache-2.0

package spawn

import (
	"sync/atomic"
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
	time           uint64  // of the processor's counter when the call returned
	tied           uintptr // a boolean
}

type rawRequest struct {
	blocked uint64 // every signal, while parent and child share memory
	mask    uint64 //lint:ignore U1000 the parent's own mask: the assembly keeps it here and puts it back
	nr      uintptr
	args    [5]uintptr
	first   *rawPart
	result  int    // of the clone: a process id or a negated errno
	cloning uint32 // cleared, with a wake, when result is there
	pidns   int    // a descriptor, or -1: the thread enters it for the clone
	entered int    // what that gave; after an error no clone is made
	thread  *uint32
}

// rawPart is a list of calls. The child goes on with the next one if there is one
// when it has made them all, which it has not before it was let on.
type rawPart struct {
	calls *rawCall
	n     uintptr
	next  *rawPart
}

// What a rawCall's result holds before the call is made, and while it runs.
// They are outside what a system call returns (-4095 and up, or a small number).
const (
	notReached = -1 << 32
	running    = -1<<32 + 1 // an execve that succeeded stays so: it does not return
)

// run starts a thread that Go does not know, with every signal blocked, and
// returns at once: zero or why there is no thread. The thread makes the clone of
// the request and then waits for the child's end, since the child's parent-death
// signal is tied to it; it uses no stack. The child makes the calls, part after
// part, and exits. They read r until the child has executed or ended. When the
// thread ends, the kernel clears the thread's word (set_tid_address(2)).
func run(r *rawRequest) unix.Errno

// run starts the thread of the request.
func (r *request) run() error {
	r.raw.thread = newThread()
	if errno := run(&r.raw); errno != 0 {
		atomic.StoreUint32(r.raw.thread, 0)
		return &Error{Call: "clone a thread", Errno: errno}
	}
	return nil
}

// counter reads the processor's own clock, which costs the child no system call.
func counter() uint64

// cloneArgs is struct clone_args of clone3(2), up to the field for a cgroup.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal uint64
	stack, stackSize, tls, setTID, setTIDSize     uint64
	cgroup                                        uint64
}

type request struct {
	raw   rawRequest
	begun instant
	parts []*part
	clone cloneArgs
	pidfd int32
	alive uint32 // cleared by the kernel, with a wake, when the child executes or ends (set_tid_address(2))
}

// part is a list and what the assembly makes of it.
type part struct {
	list *List
	raw  rawPart
	// calls are those before the list's own and the list's.
	calls []rawCall
}

func newPart(before []rawCall, l *List) *part {
	p := &part{list: l, calls: append(make([]rawCall, 0, len(before)+len(l.calls)), before...)}
	for _, c := range l.calls {
		p.calls = append(p.calls, c.raw())
	}
	p.raw.calls, p.raw.n = unsafe.SliceData(p.calls), uintptr(len(p.calls))
	return p
}

// share: the child has our memory, and our descriptors until it goes on.
const share = unix.CLONE_VM | unix.CLONE_FILES | unix.CLONE_PIDFD | unix.CLONE_CHILD_CLEARTID

func newRequest(first *List, o Options, gate int) *request {
	r := &request{pidfd: -1, alive: 1, begun: now()}
	first.wait(gate)
	before := append(defaultSignals(first), DieWithParent().raw())
	r.parts = []*part{newPart(before, first)}
	r.clone = cloneArgs{
		flags:      uint64(o.Namespaces) | share,
		pidfd:      uint64(uintptr(unsafe.Pointer(&r.pidfd))),
		childTID:   uint64(uintptr(unsafe.Pointer(&r.alive))),
		exitSignal: uint64(unix.SIGCHLD),
	}
	if o.Cgroup != nil {
		r.clone.flags |= unix.CLONE_INTO_CGROUP
		r.clone.cgroup = uint64(o.Cgroup.Fd())
	}
	r.raw = rawRequest{blocked: ^uint64(0), nr: unix.SYS_CLONE3, cloning: 1, pidns: -1, first: &r.parts[0].raw}
	if o.PidNamespace != nil {
		r.raw.pidns = int(o.PidNamespace.Fd())
	}
	r.raw.args[0] = uintptr(unsafe.Pointer(&r.clone))
	r.raw.args[1] = unsafe.Sizeof(r.clone)
	return r
}

// add gives the child a part for when it is let on next.
func (r *request) add(p *part) {
	r.parts[len(r.parts)-1].raw.next = &p.raw
	r.parts = append(r.parts, p)
}

// ownFiles is the call by which the child takes descriptors of its own.
func ownFiles() []rawCall {
	unshare := Call{Nr: unix.SYS_UNSHARE, Args: [6]uintptr{unix.CLONE_FILES}}
	return []rawCall{unshare.raw()}
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
	if c.tied {
		raw.tied = 1
	}
	return raw
}

// defaultSignals are the calls that give every signal its default action.
// Go's handlers must never run in the child, and what our caller ignores is
// nothing to the program.
func defaultSignals(l *List) []rawCall {
	var action [4]uint64 // struct sigaction: SIG_DFL, no flags
	at := Pin(l, &action)
	calls := make([]rawCall, 0, 64)
	for signal := uintptr(1); signal <= 64; signal++ {
		c := Call{Nr: unix.SYS_RT_SIGACTION, Args: [6]uintptr{signal, at, 0, 8}, Tolerate: unix.EINVAL}
		calls = append(calls, c.raw()) // EINVAL: SIGKILL and SIGSTOP
	}
	return calls
}

// useClone turns the request to the older clone(2), whose last two arguments
// are in the order that the architecture has (CONFIG_CLONE_BACKWARDS).
func (r *request) useClone(o Options) {
	alive := uintptr(unsafe.Pointer(&r.alive))
	r.raw.nr, r.raw.cloning = unix.SYS_CLONE, 1
	r.raw.args = [5]uintptr{o.Namespaces | share | uintptr(unix.SIGCHLD), 0, uintptr(unsafe.Pointer(&r.pidfd)), alive, alive}
}

// outcome reads the results that the child left behind.
func (r *request) outcome() error {
	executed := false
	for _, p := range r.parts {
		var err error
		if executed, err = p.outcome(); err != nil {
			return err
		}
	}
	if !executed {
		return &Error{Call: "start a process: the list ended without execve", Errno: unix.ECHILD}
	}
	return nil
}

// outcome reads the results of a list. Neighbouring execve calls are candidates
// for one program, of which one must have succeeded.
func (p *part) outcome() (executed bool, err error) {
	results := p.calls[len(p.calls)-len(p.list.calls):]
	var failed *Error
	for i, c := range p.list.calls {
		switch errno := results[i].errno(); {
		case c.Exec && results[i].result == running:
			executed, failed = true, nil
		case c.Exec && errno != 0:
			if failed == nil || notFound(failed.Errno) && !notFound(errno) {
				failed = &Error{Call: c.Name, Exec: true, Errno: errno}
			}
		case !c.Exec && failed != nil:
			return false, failed
		case !c.Exec && errno != 0 && c.Tolerate != AnyError && c.Tolerate != errno:
			return false, &Error{Call: c.Name, Errno: errno}
		}
	}
	if failed != nil {
		return false, failed
	}
	return executed, nil
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
