// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"strata/internal/keys"
)

// An ownTerminal is the one that strata was called from, joined to that of a
// process in a container.
type ownTerminal struct {
	other   *os.File        // the controlling side of the process's
	settled <-chan struct{} // the session's
	fd      int             // -1 when nothing is typed here for the process
	mu      sync.Mutex
	old     *term.State // to be put back, or nil; guarded by mu
	done    bool        // no raw mode any more; guarded by mu

	// stopping is written from a stop's beginning until the mode is raw again, and
	// read while keys are taken. The threads go on in any order after a stop: a key
	// that one of them took before the mode is raw was edited by two terminals.
	stopping sync.RWMutex
}

// newOwnTerminal passes every key on, if stdin is a terminal, and gives the
// session's terminal the size of ours, now and whenever that changes. What
// restore puts back is put back at a stop too.
func newOwnTerminal(of session, stdin bool) *ownTerminal {
	t := &ownTerminal{other: of.Terminal(), settled: of.Settled(), fd: -1}
	if fd := int(os.Stdin.Fd()); stdin && term.IsTerminal(fd) {
		t.fd = fd
	}
	signal.Ignore(unix.SIGPIPE)                                      // its default would end us in raw mode
	sizes, stops := make(chan os.Signal, 1), make(chan os.Signal, 1) // in one channel either might fill the other's place
	signal.Notify(sizes, unix.SIGWINCH)
	signal.Notify(stops, unix.SIGTSTP)
	t.raw()
	t.resize()
	go t.obey(sizes, stops)
	return t
}

func (t *ownTerminal) obey(sizes, stops <-chan os.Signal) {
	defer t.restorePanicking()
	for {
		select {
		case <-sizes:
			t.resize()
		case <-stops:
			t.stop(os.Getpid())
		}
	}
}

// raw passes every key on from now. As a background job we stop here until we
// are brought to the foreground (tcflow(3)): the mode before that is the shell's
// own, and not what is to be put back.
func (t *ownTerminal) raw() {
	if t.fd < 0 {
		return
	}
	unix.IoctlSetInt(t.fd, unix.TCXONC, unix.TCOON)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.done {
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

// restorePanicking is deferred where a panic would not pass restore.
func (t *ownTerminal) restorePanicking() {
	if r := recover(); r != nil {
		t.restore()
		panic(r)
	}
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

// redraw lets the process draw its screen again. The kernel tells it only of a
// size that is another one (tty_do_resize, drivers/tty/tty_io.c).
func (t *ownTerminal) redraw() {
	fd := int(t.other.Fd())
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		return
	}
	other := *size
	other.Row++
	unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &other)
	unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size)
	t.resize()
}

// Write shows what the process wrote, when the mode is raw.
func (t *ownTerminal) Write(p []byte) (int, error) {
	t.awaitRaw() // the lock is not held: whoever reads our output may keep us long
	return os.Stdout.Write(p)
}

// awaitRaw waits while we are stopping, until the mode is raw again.
func (t *ownTerminal) awaitRaw() {
	t.stopping.RLock()
	defer t.stopping.RUnlock()
}

// typing passes on what is typed. The detach keys stop us instead, and what
// followed them at once is nobody's, as with Docker.
func (t *ownTerminal) typing(detach []byte) {
	defer t.restorePanicking()
	scanner, buf := keys.NewScanner(detach), make([]byte, 4096)
	for {
		n, err := t.read(buf)
		passed, _, found := scanner.Scan(buf[:n])
		if _, err := t.other.Write(passed); err != nil {
			return
		}
		if found {
			t.detach()
		}
		if err != nil {
			return
		}
	}
}

// read waits for keys outside of read(2), which would take some after a stop
// before the mode is raw.
func (t *ownTerminal) read(buf []byte) (int, error) {
	typed := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(typed, -1); err != nil && err != unix.EINTR {
			return 0, os.NewSyscallError("poll", err)
		}
		if n, err := t.take(typed, buf); n > 0 || err != nil {
			return n, err
		}
	}
}

// take reads the keys that are there.
func (t *ownTerminal) take(typed []unix.PollFd, buf []byte) (int, error) {
	t.stopping.RLock()
	defer t.stopping.RUnlock()
	if n, err := unix.Poll(typed, 0); n == 0 || err == unix.EINTR {
		return 0, nil
	}
	return os.Stdin.Read(buf)
}
