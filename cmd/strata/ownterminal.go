// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/signal"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"strata/internal/keys"
)

// An ownTerminal is the one that strata was called from, joined to that of a
// process in a container.
type ownTerminal struct {
	other *os.File // the controlling side of the process's
	fd    int      // -1 when nothing is typed here for the process
	mu    sync.Mutex
	old   *term.State // to be put back, or nil; guarded by mu
	done  bool        // no raw mode any more; guarded by mu
}

// newOwnTerminal passes every key on, if stdin is a terminal, and gives the
// process's terminal the size of ours, now and whenever that changes. What
// restore puts back is put back at a stop too.
func newOwnTerminal(other *os.File, stdin bool) *ownTerminal {
	t := &ownTerminal{other: other, fd: -1}
	if fd := int(os.Stdin.Fd()); stdin && term.IsTerminal(fd) {
		t.fd = fd
	}
	signal.Ignore(unix.SIGPIPE) // its default would end us in raw mode
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGWINCH, unix.SIGTSTP)
	t.raw()
	t.resize()
	go func() {
		for s := range signals {
			if s == unix.SIGTSTP {
				t.stop()
			}
			t.resize()
		}
	}()
	return t
}

func (t *ownTerminal) raw() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd >= 0 && !t.done {
		t.old, _ = term.MakeRaw(t.fd)
	}
}

// restore puts the terminal's mode back for good.
func (t *ownTerminal) restore() {
	t.mu.Lock()
	t.done = true
	t.mu.Unlock()
	t.cook()
}

// cook puts the terminal's mode back.
func (t *ownTerminal) cook() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.old != nil {
		term.Restore(t.fd, t.old)
		t.old = nil
	}
}

func (t *ownTerminal) resize() {
	if size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil {
		unix.IoctlSetWinsize(int(t.other.Fd()), unix.TIOCSWINSZ, size)
	}
}

// stop stops us with the terminal as it was, so that a shell has it back; the
// container goes on. Without a shell that could let us go on the kernel does not
// stop us (signal(7), orphaned process groups). The signal is this thread's own,
// so that nothing is done before it has stopped us.
func (t *ownTerminal) stop() {
	t.cook()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var byDefault, before [4]uint64 // struct sigaction, which os/signal cannot set to the default once it was caught
	setAction(unix.SIGTSTP, &byDefault, &before)
	unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGTSTP)
	setAction(unix.SIGTSTP, &before, nil)
	t.raw()
}

func setAction(s unix.Signal, action, before *[4]uint64) {
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(action)), uintptr(unsafe.Pointer(before)), 8, 0, 0)
}

// typing passes on what is typed. The detach keys stop us instead.
func (t *ownTerminal) typing(detach []byte) {
	scanner, buf := keys.NewScanner(detach), make([]byte, 4096)
	for {
		n, err := os.Stdin.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			var passed []byte
			var found bool
			passed, rest, found = scanner.Scan(rest)
			if _, err := t.other.Write(passed); err != nil {
				return
			}
			if found {
				unix.Kill(os.Getpid(), unix.SIGTSTP)
			}
		}
		if err != nil {
			return
		}
	}
}
