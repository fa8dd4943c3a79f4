// SPDX-License-Identifier: Apache-2.0

// Package spawn starts a process in new namespaces as one clone and a prepared
// list of system calls that ends in execve.
//
// Ordinary Go does what can fail or allocate. The child runs no Go code: a few
// lines of assembly make the calls one after the other, on the parent's own
// memory (CLONE_VM, as posix_spawn(3) does), so that nothing is copied, nothing
// is executed twice, and the result of every call can be read by the parent
// afterwards. The parent is not suspended meanwhile: a child may be begun while
// what its list needs is still being made.
package spawn

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Call is one system call of the child.
type Call struct {
	// Name says what the call is for in errors: `mount proc on /proc`.
	Name string
	// Nr is the number of the system call on this architecture.
	Nr uintptr
	// Args are integers, or pointers made with List.Bytes, List.String and
	// their like, which keep what they point to alive.
	Args [6]uintptr
	// Tolerate is an errno after which the list goes on, or AnyError; zero
	// stops the child at any error.
	Tolerate unix.Errno
	// SkipOnError is how many of the following calls are left out after a
	// tolerated error.
	SkipOnError int
	// SkipOnPositive is how many of the following calls are left out after a
	// result above zero. It divides the list after a clone: the child gets
	// zero and goes on with the next call, its parent leaves the child's part out.
	SkipOnPositive int
	// Save keeps the result, and Saved replaces the first argument by the
	// result kept last: a descriptor that only the child can open.
	Save, Saved bool
	// Exec marks an execve: when it does not return, the start has succeeded.
	Exec bool
	tied bool // the child stops after the call if the thread that cloned it has ended
}

// AnyError in Call.Tolerate lets the list go on whatever the call returned.
const AnyError = ^unix.Errno(0)

// A List is the program of a child. Its zero value is empty and ready to use.
type List struct {
	// Replaced lets Child.Continue return only when the kernel has given the child
	// memory of its own. What it says by CLONE_CHILD_CLEARTID comes a moment
	// earlier (begin_new_exec in fs/exec.c): what is changed of our memory, whether
	// it can be dumped for example, would be the child's too.
	Replaced bool
	calls    []Call
	keep     []any
}

// Add appends calls.
func (l *List) Add(calls ...Call) { l.calls = append(l.calls, calls...) }

// Len is the number of calls so far.
func (l *List) Len() int { return len(l.calls) }

// SkipOnPositive sets that of the call at index i, once the calls to leave out
// have been added and can be counted.
func (l *List) SkipOnPositive(i, skip int) { l.calls[i].SkipOnPositive = skip }

// String returns a pointer to s with a NUL behind it. A NUL inside s ends the
// string early for the kernel; callers refuse such strings where they come in.
func (l *List) String(s string) uintptr {
	b := make([]byte, len(s)+1)
	copy(b, s)
	return l.Bytes(b)
}

// Bytes returns a pointer to the first byte of b, which must not be empty.
func (l *List) Bytes(b []byte) uintptr {
	l.keep = append(l.keep, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

// Strings returns a pointer to a NULL-terminated array of strings, as execve(2)
// takes for arguments and environment.
func (l *List) Strings(ss []string) uintptr {
	pointers := make([]uintptr, len(ss)+1)
	for i, s := range ss {
		pointers[i] = l.String(s)
	}
	l.keep = append(l.keep, pointers)
	return uintptr(unsafe.Pointer(&pointers[0]))
}

// Pin returns a pointer to *v for the life of the list.
func Pin[T any](l *List, v *T) uintptr {
	l.keep = append(l.keep, v)
	return uintptr(unsafe.Pointer(v))
}

// Options are what the clone itself takes.
type Options struct {
	// Namespaces are CLONE_NEW* flags.
	Namespaces uintptr
	// Cgroup is a descriptor of a cgroup v2 directory in which the child
	// begins (CLONE_INTO_CGROUP), or nil.
	Cgroup *os.File
	// PidNamespace is one that the child begins in, or nil. Only the thread that
	// makes the clone enters it (setns(2)), and needs CAP_SYS_ADMIN there and
	// here. From the clone on the processes in it see the child, which has our
	// memory: PR_SET_DUMPABLE, cleared before, is what keeps them from it. It
	// stays open until Continue or Abandon.
	PidNamespace *os.File
}

// A Process is a child that has executed its program.
type Process struct {
	Pid int
	// Pidfd refers to the process whatever becomes of its number. The caller
	// closes it.
	Pidfd *os.File
}

// An Error is a call at which a child stopped before it could execute.
type Error struct {
	Call  string // Call.Name
	Exec  bool   // the call was an execve
	Errno unix.Errno
}

func (e *Error) Error() string { return e.Call + ": " + e.Errno.Error() }
func (e *Error) Unwrap() error { return e.Errno }

// Start clones a child and returns when it has executed a program or has
// stopped; then the error is an *Error and the child is gone.
func Start(l *List, o Options) (*Process, error) {
	c, err := Begin(new(List), o)
	if err != nil {
		return nil, err
	}
	return c.Continue(l)
}

// Wait reaps the child and returns how it ended.
func (p *Process) Wait() (unix.WaitStatus, error) {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(p.Pid, &status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		return status, os.NewSyscallError("wait4", err)
	}
}

// EndsWithin reports whether the child ends before the time is over. It does
// not reap it.
func (p *Process) EndsWithin(d time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(p.Pidfd.Fd()), Events: unix.POLLIN}}
	deadline := time.Now().Add(d)
	for {
		left := unix.NsecToTimespec(max(0, int64(time.Until(deadline))))
		n, err := unix.Ppoll(fds, &left, nil)
		if err != unix.EINTR {
			return n > 0
		}
	}
}

// Signal sends s to the child; unix.ESRCH when it has ended.
func (p *Process) Signal(s unix.Signal) error {
	return unix.PidfdSendSignal(int(p.Pidfd.Fd()), s, nil, 0)
}
