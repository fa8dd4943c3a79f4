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
	t.stop(suspendGroup)
}

// stop suspends us with the terminal as it was, so that a shell has it back.
func (t *ownTerminal) stop(suspend func()) {
	<-t.settled
	t.stopping.Lock()
	defer t.stopping.Unlock()
	t.cook()
	suspend()
	t.raw()
	t.redraw()
}

// suspendGroup suspends our process group, as the terminal's own key would: a
// script that waits for us would else keep the shell waiting. For that first
// signal, which is for any of our threads, we are deaf.
func suspendGroup() {
	ignored := sigaction{handler: sigIgn}
	withAction(unix.SIGTSTP, &ignored, func() { unix.Kill(0, unix.SIGTSTP) })
	suspend()
}

// suspend suspends us until somebody lets us go on. The signal is this thread's
// own, so that nothing is done before it has stopped us. Without a shell that
// could let us go on the kernel does not stop us (signal(7), orphaned process
// groups).
func suspend() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	withAction(unix.SIGTSTP, &sigaction{}, func() { unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGTSTP) })
}

// A sigaction is struct sigaction as rt_sigaction(2) takes it. Its zero value is
// the default, which os/signal cannot give a signal back that it has caught.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const sigIgn = 1 // SIG_IGN, asm-generic/signal-defs.h

func withAction(s unix.Signal, action *sigaction, do func()) {
	var before sigaction
	setAction(s, action, &before)
	do()
	setAction(s, &before, nil)
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
