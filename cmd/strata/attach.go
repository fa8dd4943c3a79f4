// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"strata/internal/cli"
	"strata/internal/container"
	"strata/internal/engine"
	"strata/internal/keys"
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
	Settled() <-chan struct{}
	Wait() (exitCode int, err error)
}

// input is what of ours goes to a process.
type input struct {
	stdin      bool
	detachKeys []byte // stop us instead, when they are typed on a terminal
}

// attach joins our terminal and signals to a running process and returns its
// exit code.
func attach(r session, in input) (int, error) {
	r.ForwardSignals()
	terminal := r.Terminal()
	if terminal == nil {
		return r.Wait()
	}
	own := newOwnTerminal(r, in.stdin)
	defer own.restore()
	ended, end, err := os.Pipe()
	if err != nil {
		return engine.ExitError, err
	}
	if own.fd >= 0 {
		go own.typing(in.detachKeys)
	}
	shown := make(chan struct{})
	go func() {
		defer own.restorePanicking()
		if !show(own, terminal, ended) {
			terminal.Close() // hangs up: nobody sees any more what is written
		}
		close(shown)
	}()
	code, err := r.Wait()
	end.Close()
	<-shown
	terminal.Close()
	return code, err
}

// leftover is how long is waited for what a process wrote last, in milliseconds:
// others that it has left behind may have its terminal open.
const leftover = 50

// show copies what the terminal shows to own until its last user has gone, or
// after ended has. It returns false when own takes no more.
func show(own io.Writer, terminal, ended *os.File) bool {
	buf, timeout := make([]byte, 32<<10), -1
	fds := []unix.PollFd{{Fd: int32(terminal.Fd()), Events: unix.POLLIN}, {Fd: int32(ended.Fd())}}
	for {
		n, err := unix.Poll(fds, timeout)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil || n == 0:
			return true
		case fds[0].Revents&unix.POLLIN != 0:
			n, _ := terminal.Read(buf)
			if _, err := own.Write(buf[:max(n, 0)]); err != nil {
				return false
			}
		case fds[0].Revents != 0:
			return true
		default:
			fds, timeout = fds[:1], leftover
		}
	}
}

// ownStreams are those of strata itself; a command without stdin has none.
func ownStreams(stdin bool) engine.Streams {
	streams := engine.Streams{Stdout: os.Stdout, Stderr: os.Stderr}
	if stdin {
		streams.Stdin = os.Stdin
	}
	return streams
}

// detachFlag is Docker's --detach-keys, which newInput reads.
func detachFlag(fs *cli.FlagSet, detach *string) {
	*detach = keys.Detach
	fs.StringVar(detach, "detach-keys", "", "KEYS", "keys that give the terminal back to the shell, with strata as a stopped job")
}

func newInput(stdin bool, detachKeys string) (input, error) {
	parsed, err := keys.Parse(detachKeys)
	if err != nil {
		return input{}, fmt.Errorf("--detach-keys: %w", err)
	}
	return input{stdin, parsed}, nil
}

// checkTerminal refuses, as Docker does, to read keys from what is no terminal.
func checkTerminal(h container.Host) error {
	if h.Terminal && h.OpenStdin && !term.IsTerminal(int(os.Stdin.Fd())) {
		return errors.New("-i and -t together need a terminal as standard input; leave out -t")
	}
	return nil
}
