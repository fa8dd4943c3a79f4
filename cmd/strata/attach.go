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
// and SIGURG are our own business.
var forwarded = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGCONT, unix.SIGWINCH,
}

// catchSignals keeps signals from ending us from here on; they wait until there
// is a process to forward them to. Doing it after the start would save the time
// of starting a thread, but a program that says it is ready is sent a signal at
// once, and on a busy machine one in two ended us and not the program.
func catchSignals() chan os.Signal {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	return signals
}

// insist is how many interrupts it takes to kill a container that ignores
// them, as process 1 does unless it asks for them.
const insist = 3

// attach joins our terminal and signals to a running container and returns its
// exit code.
func attach(r *engine.Running, signals chan os.Signal, stdin bool) (int, error) {
	terminal := r.Terminal()
	done := make(chan struct{})
	if terminal != nil {
		restore := rawMode(stdin)
		defer restore()
		resize(terminal)
		if stdin {
			go io.Copy(terminal, os.Stdin)
		}
		go func() {
			io.Copy(os.Stdout, terminal) // ends with EIO when the last user of the terminal has gone
			close(done)
		}()
	} else {
		close(done)
	}
	go forward(r, signals, terminal)
	code, err := r.Wait()
	signal.Stop(signals)
	<-done
	if terminal != nil {
		err = errors.Join(err, terminal.Close())
	}
	return code, err
}

func forward(r *engine.Running, signals chan os.Signal, terminal *os.File) {
	interrupts := 0
	for s := range signals {
		number := s.(unix.Signal)
		switch number {
		case unix.SIGWINCH:
			if terminal != nil {
				resize(terminal)
				continue
			}
		case unix.SIGINT, unix.SIGTERM:
			if interrupts++; interrupts >= insist {
				number = unix.SIGKILL
			}
		}
		r.Signal(number)
	}
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

// resize gives the container's terminal the size of ours.
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
