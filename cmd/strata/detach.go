// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"strata/internal/linux"
)

// detach gives the terminal back to the shell, with us as a stopped job of it,
// and returns when it has let us go on. The container goes on meanwhile.
func (t *ownTerminal) detach() {
	if !underJobControl() {
		os.Stderr.WriteString("strata: detach: no shell with job control is here to take the terminal; start strata from one\r\n")
		return
	}
	t.stop(0) // our process group, as the terminal's own key would: a script that waits for us would keep the shell waiting
}

// stop suspends those that kill(2) calls pid, which we are one of, with the
// terminal as it was, so that a shell has it back.
func (t *ownTerminal) stop(pid int) {
	<-t.settled
	t.stopping.Lock()
	defer t.stopping.Unlock()
	t.cook()
	suspend(pid)
	t.raw()
	t.redraw()
}

// suspend returns when somebody has let us go on. Any thread may take the signal
// that is sent to pid, and we would be elsewhere by then. So this thread has one of
// its own, blocked until the other is sent: it stops here for either, and whoever
// lets us go on, however soon, takes back both (prepare_signal, kernel/signal.c).
// Where nobody could the kernel does not stop us (signal(7)).
func suspend(pid int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before sigaction
	var mask unix.Sigset_t
	setAction(unix.SIGTSTP, &sigaction{}, &before)
	unix.PthreadSigmask(unix.SIG_BLOCK, &unix.Sigset_t{Val: [16]uint64{1 << (unix.SIGTSTP - 1)}}, &mask)
	unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGTSTP)
	unix.Kill(pid, unix.SIGTSTP)
	unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil)
	setAction(unix.SIGTSTP, &before, nil)
}

// A sigaction is struct sigaction as rt_sigaction(2) takes it. Its zero value is
// the default, which os/signal cannot give a signal back that it has caught.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

func setAction(s unix.Signal, action, before *sigaction) {
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(action)), uintptr(unsafe.Pointer(before)), 8, 0, 0)
}

// underJobControl returns whether somebody can let us go on after a stop: the
// parent of one of our process group that is of the same session, but of another
// process group (setpgid(2), orphaned process groups).
func underJobControl() bool {
	session, _ := unix.Getsid(0)
	for pid := os.Getppid(); pid > 0; pid = parentOf(pid) {
		if s, err := unix.Getsid(pid); err != nil || s != session {
			return false
		}
		if group, err := unix.Getpgid(pid); err != nil || group != unix.Getpgrp() {
			return err == nil
		}
	}
	return false
}

// parentOf returns 0 for a process that has none or cannot be seen.
func parentOf(pid int) int {
	stat, err := linux.ReadStat(pid)
	if err != nil {
		return 0
	}
	return stat.Parent
}
