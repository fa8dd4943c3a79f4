// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"strata/internal/container"
	"strata/internal/engine"
)

// forwarded are the signals that a container gets when we do. SIGCHLD, SIGPIPE
// and SIGURG are our own business, and SIGWINCH is the terminal's.
var forwarded = []unix.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGCONT,
}

// A session is a process of a container that our terminal and signals can be
// joined to.
type session interface {
	ForwardSignals()
	Terminal() *os.File // or nil
	Wait() (exitCode int, err error)
}

// attach joins our terminal and signals to a running process and returns its
// exit code.
func attach(r session, stdin bool) (int, error) {
	r.ForwardSignals()
	terminal := r.Terminal()
	if terminal == nil {
		return r.Wait()
	}
	restore := rawMode(stdin)
	defer restore()
	followSize(terminal)
	if stdin {
		go io.Copy(terminal, os.Stdin)
	}
	done := make(chan struct{})
	go func() {
		io.Copy(os.Stdout, terminal) // ends with EIO when the last user of the terminal has gone
		close(done)
	}()
	code, err := r.Wait()
	<-done
	return code, errors.Join(err, terminal.Close())
}

// followSize gives the container's terminal the size of ours, now and whenever
// that changes.
func followSize(terminal *os.File) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, unix.SIGWINCH)
	resize(terminal)
	go func() {
		for range changed {
			resize(terminal)
		}
	}()
}

// ownStreams are those of strata itself; a command without stdin has none.
func ownStreams(stdin bool) engine.Streams {
	streams := engine.Streams{Stdout: os.Stdout, Stderr: os.Stderr}
	if stdin {
		streams.Stdin = os.Stdin
	}
	return streams
}

// rawMode passes every key on. What it returns puts the terminal back.
func rawMode(stdin bool) func() {
	fd := int(os.Stdin.Fd())
	if !stdin || !term.IsTerminal(fd) {
		return func() {}
	}
	old, err := term.MakeRaw(fd)
	if err != nil {
		return func() {}
	}
	return func() { term.Restore(fd, old) }
}

func resize(terminal *os.File) {
	if size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil {
		unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, size)
	}
}

// checkTerminal refuses, as Docker does, to read keys from what is no terminal.
func checkTerminal(h container.Host) error {
	if h.Terminal && h.OpenStdin && !term.IsTerminal(int(os.Stdin.Fd())) {
		return errors.New("-i and -t together need a terminal as standard input; leave out -t")
	}
	return nil
}
