// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// A Running is a sandbox that has been started, known by its first process.
// Close closes it and leaves the sandbox alone.
type Running struct {
	pid   int
	pidfd *os.File
	root  *os.File // the root directory of the process (O_PATH), not to be followed by name
	// other are the CLONE_NEW* flags of its namespaces that are not ours.
	other uintptr
}

// OpenRunning opens the sandbox whose first process is pid. A process id may
// have been given anew: the caller checks after the call that the process it
// means is still there, and then it was that one. An error is os.ErrProcessDone
// when the process is gone.
func OpenRunning(pid int) (_ *Running, err error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH || err == unix.EINVAL { // EINVAL: it is a thread by now
		return nil, os.ErrProcessDone
	}
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	r := &Running{pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd")}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if err = r.open(); r.Ended() { // what was opened may be another's
		err = os.ErrProcessDone
	}
	return r, err
}

func (r *Running) open() error {
	path := r.file("root")
	fd, err := linux.OpenAt(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	r.root = os.NewFile(uintptr(fd), "/")
	return r.compareNamespaces()
}

// compareNamespaces finds out which namespaces are not ours, by their names: to
// look at what they lead to takes the kernel several times as long.
func (r *Running) compareNamespaces() error {
	own, err := linux.OpenDir("/proc/self/ns")
	if err != nil {
		return err
	}
	defer own.Close()
	its, err := linux.OpenDir(r.file("ns"))
	if err != nil {
		return err
	}
	defer its.Close()
	for _, ns := range namespaceKinds {
		a, err := linux.Readlink(int(own.Fd()), ns.name)
		if err != nil {
			return fmt.Errorf("find our %s namespace: %w", ns.name, err)
		}
		b, err := linux.Readlink(int(its.Fd()), ns.name)
		if err != nil {
			return fmt.Errorf("find its %s namespace: %w", ns.name, err)
		}
		if a != b {
			r.other |= ns.flag
		}
	}
	return nil
}

// namespaceKinds are the names in /proc/PID/ns (namespaces(7)).
var namespaceKinds = []struct {
	name string
	flag uintptr
}{
	{"user", unix.CLONE_NEWUSER}, {"pid", unix.CLONE_NEWPID}, {"mnt", unix.CLONE_NEWNS}, {"net", unix.CLONE_NEWNET},
	{"uts", unix.CLONE_NEWUTS}, {"ipc", unix.CLONE_NEWIPC}, {"cgroup", unix.CLONE_NEWCGROUP},
}

func (r *Running) file(name string) string { return "/proc/" + strconv.Itoa(r.pid) + "/" + name }

// Root is the root directory that the first process has. What is beneath it is
// the container's: open it with linux.OpenInRoot.
func (r *Running) Root() *os.File { return r.root }

// Ended reports whether the first process has, and with it the sandbox, or is
// about to: it has no root directory any more when it kills the others, and its
// pidfd says that it has ended when they are gone (do_exit in kernel/exit.c).
func (r *Running) Ended() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(r.pidfd.Fd()), Events: unix.POLLIN}}, 0)
	if err == nil && n > 0 {
		return true
	}
	_, err = os.Readlink(r.file("root"))
	return errors.Is(err, os.ErrNotExist)
}

// Close closes what OpenRunning has opened.
func (r *Running) Close() error {
	err := r.pidfd.Close()
	if r.root != nil {
		err = errors.Join(err, r.root.Close())
	}
	return err
}
