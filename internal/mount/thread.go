// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// OnThread runs f on a thread that ends with it, for what cannot be undone to a
// thread. It must not be the process's first thread: that one never ends, and
// /proc/self is what it sees.
func OnThread(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread() // kept until another thread has done it
			OnThread(f)
		} else {
			f() // stays locked: the runtime ends the thread with the goroutine
		}
		close(done)
	}()
	<-done
}

// CloneIn is Clone of a path in the mount namespace ns, in which the path may be
// anybody's: no symbolic link in it is followed. The kernel clones only what its
// caller's own namespace has, so a thread goes there.
func CloneIn(ns *os.File, path string, recursive bool) (m *os.File, err error) {
	OnThread(func() { m, err = cloneThere(ns, path, recursive) })
	return m, err
}

func cloneThere(ns *os.File, path string, recursive bool) (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // setns(2) into a mount namespace asks for it
		return nil, os.NewSyscallError("unshare", err)
	}
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS); err != nil {
		return nil, pathError("setns", ns.Name(), err)
	}
	root, err := linux.OpenDir("/")
	if err != nil {
		return nil, err
	}
	defer root.Close()
	fd, err := linux.OpenBeneath(int(root.Fd()), strings.TrimLeft(path, "/"), unix.O_PATH, 0)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	there := os.NewFile(uintptr(fd), path)
	defer there.Close()
	return CloneFile(there, recursive)
}
