// SPDX-License-Identifier: Apache-2.0

// Package rootless lets an ordinary user be root of a user namespace: it replaces
// the process by the same command inside one.
//
// The process that the user started becomes the one inside: nothing stays outside
// that would have to pass on signals, the terminal or an exit code. A process of
// Go has threads and cannot join a user namespace, so on the way it is a program
// of a few hundred bytes (spawn.Replacement). All commands on one store share one
// namespace as long as one of them runs, or they could not signal and enter one
// another's containers: capabilities in one user namespace are none in its
// sibling (user_namespaces(7)).
package rootless

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/spawn"
)

// Needed reports whether the caller is an ordinary user, who must Enter before
// doing anything with a store.
func Needed() bool { return os.Geteuid() != 0 }

// Enter replaces this process by the same command, with the same arguments,
// environment and descriptors, as root of the user namespace of the store at
// root, in a mount namespace of its own. It returns only if that cannot be. A
// store that is not there is begun: its directory and the lock.
//
// With warn a user who has no subordinate ids, or no newuidmap to use them, gets
// a line on standard error about it; who makes a store gets it in any case.
func Enter(root string, warn bool) error {
	lock, made, err := openLock(root)
	if err != nil {
		return err
	}
	defer lock.Close()
	ns, err := lock.namespace(func() (*os.File, error) { return newNamespace(warn || made) })
	if err != nil {
		return err
	}
	defer ns.Close()
	return become(ns, lock)
}

// become executes this program again, inside.
func become(ns *os.File, lock *lockFile) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	inherit := []*os.File{ns, self}
	if lock.file != nil {
		inherit = append(inherit, lock.file)
	}
	for _, f := range inherit { // by the program between; what must not go on is marked again there
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return os.NewSyscallError("fcntl", err)
		}
	}
	var r spawn.Replacement
	r.Call("strata: enter the user namespace: the kernel refused setns(2)", unix.SYS_SETNS, ns.Fd(), unix.CLONE_NEWUSER)
	r.Call("strata: make a mount namespace: the kernel refused unshare(2)", unix.SYS_UNSHARE, unix.CLONE_NEWNS)
	lock.keep(&r)
	for _, f := range []*os.File{ns, self} {
		r.Call("strata: the kernel refused fcntl(2)", unix.SYS_FCNTL, f.Fd(), unix.F_SETFD, unix.FD_CLOEXEC)
	}
	execute(&r, self)
	return fmt.Errorf("enter a user namespace: %w", r.Exec())
}

// execute adds the calls that execute this program: by its path first, so that
// it has its name in lists of processes.
func execute(r *spawn.Replacement, self *os.File) {
	argv, envp := r.Strings(os.Args), r.Strings(os.Environ())
	if path, err := os.Readlink("/proc/self/exe"); err == nil {
		r.Call("", unix.SYS_EXECVE, r.String(path), argv, envp)
	}
	r.Call("strata: execute itself: the kernel refused execveat(2)", unix.SYS_EXECVEAT, self.Fd(), r.String(""), argv, envp, unix.AT_EMPTY_PATH)
}
