// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"
)

// A terminal is a pty whose other end is a person: what strata writes is shown,
// what is typed strata reads.
type terminal struct {
	t      testing.TB
	person *os.File
	own    *os.File // strata's side
	shown  *output
}

func newTerminal(t testing.TB, rows, columns uint16) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skip("no terminal can be had here: ", err)
	}
	person := os.NewFile(uintptr(fd), "/dev/ptmx") // without blocking, so that Close ends a read, whoever else has the terminal
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, person: person, own: own, shown: newOutput()}
	term.resize(rows, columns)
	read := make(chan struct{})
	go func() {
		io.Copy(term.shown, person)
		close(read)
	}()
	t.Cleanup(func() {
		own.Close()
		person.Close()
		<-read
	})
	return term
}

func (term *terminal) resize(rows, columns uint16) {
	err := unix.IoctlSetWinsize(int(term.own.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	if err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) typed(text string) {
	if _, err := term.person.WriteString(text); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) mode() unix.Termios {
	mode, err := unix.IoctlGetTermios(int(term.own.Fd()), unix.TCGETS)
	if err != nil {
		term.t.Fatal(err)
	}
	return *mode
}

// run starts strata on the terminal, in a session of its own as a shell's.
func (term *terminal) run(p *place, args ...string) *program {
	cmd := p.command(args...)
	cmd.Stdin = term.own
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true, Credential: p.who}
	run := &program{cmd: cmd, stdout: term.shown, stderr: term.shown, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = term.own, term.own
	if err := cmd.Start(); err != nil {
		term.t.Fatal(err)
	}
	go func() {
		run.err = cmd.Wait()
		close(run.ended)
	}()
	term.t.Cleanup(run.kill)
	return run
}

func (term *terminal) await(pattern string) {
	term.t.Helper()
	if !term.shown.await(regexp.MustCompile("(?m)"+pattern), nil) { // what strata wrote may be shown after its end
		shown := term.shown.String()
		term.t.Fatalf("the terminal does not show %q but at its end %q", pattern, shown[max(0, len(shown)-200):])
	}
}

func ends(t testing.TB, run *program, code int) {
	t.Helper()
	if got, ok := run.wait(); !ok || got != code {
		t.Fatalf("exit code %d (ended: %v), want %d; output %q", got, ok, code, run.stdout)
	}
}

// forever is a shell's way to wait for signals.
const forever = "echo ready; while :; do sleep 1000 & wait; done"

func TestTerminalSize(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	term := newTerminal(t, 33, 77)
	run := term.run(p, "run", "--rm", "-it", "--name", "killed", "bb", "sh", "-c", `stty size; tty; test -t 0 -a -t 1 -a -t 2 && echo all three; trap "stty size" WINCH; `+forever)
	term.await(`^33 77\r$`)
	term.await(`^/dev/pts/0\r$`)
	term.await(`^all three\r$`)
	term.await(`^ready\r$`)
	term.resize(44, 111) // the kernel tells strata by SIGWINCH
	term.await(`^44 111\r$`)
	p.must("rm", "-f", "killed")
	ends(t, run, 137)
}

// TestTerminalMode checks that keys are passed on raw, and that the terminal is
// as before however the container ends.
func TestTerminalMode(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	for _, c := range []struct {
		name, script string
		end          func(*place, *terminal, *program)
		code         int
	}{
		{"exits", "echo ready; read line; echo got $line; exit 3", func(p *place, term *terminal, run *program) { term.typed("word\r") }, 3},
		{"is interrupted", `trap "echo int; exit 4" INT; ` + forever, func(p *place, term *terminal, run *program) { term.typed("\x03") }, 4},
		{"quits", `trap "echo quit; exit 5" QUIT; ` + forever, func(p *place, term *terminal, run *program) { term.typed("\x1c") }, 5},
		{"ends by end of file", "echo ready; cat; exit 6", func(p *place, term *terminal, run *program) { term.typed("\x04") }, 6},
		{"is killed", forever, func(p *place, term *terminal, run *program) { p.must("rm", "-f", "killed") }, 137},
		{"is told to end", `trap "exit 7" TERM; ` + forever, func(p *place, term *terminal, run *program) { run.cmd.Process.Signal(unix.SIGTERM) }, 7},
		{"loses its terminal", `trap "exit 8" HUP; ` + forever, func(p *place, term *terminal, run *program) { run.cmd.Process.Signal(unix.SIGHUP) }, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := placeAt(t, p.dir, p.root)
			term := newTerminal(t, 24, 80)
			before := term.mode()
			run := term.run(p, "run", "--rm", "-it", "--name", "killed", "bb", "sh", "-c", c.script)
			term.await(`^ready\r$`)
			c.end(p, term, run)
			ends(t, run, c.code)
			if after := term.mode(); after != before {
				t.Errorf("the terminal's mode is %+v, was %+v", after, before)
			}
		})
	}
}

// TestTerminalRaw checks the mode while a container runs.
func TestTerminalRaw(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	term := newTerminal(t, 24, 80)
	run := term.run(p, "run", "--rm", "-it", "bb", "sh", "-c", "echo ready; read line; echo got $line")
	term.await("^ready")
	term.typed("a\x7fb\r") // the container's own terminal edits the line
	term.await("got b\r")
	ends(t, run, 0)
	if mode := term.mode(); mode.Lflag&unix.ICANON == 0 || mode.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal is still raw: %+v", mode)
	}
}

// TestTerminalOutput checks that the last bytes are shown too.
func TestTerminalOutput(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	term := newTerminal(t, 24, 80)
	for i := range 5 {
		run := term.run(p, "run", "--rm", "-t", "bb", "sh", "-c", fmt.Sprintf("head -c 20000 /dev/zero | tr '\\0' x; echo; echo the end %d", i))
		ends(t, run, 0)
		term.await(fmt.Sprintf("^the end %d\r+$", i))
	}
	// without -i the terminal's keys are not the container's
	run := term.run(p, "run", "--rm", "-t", "bb", "sh", "-c", "test -t 1 && echo one")
	ends(t, run, 0)
	term.await("^one\r+$")
}

// TestNoTerminal checks -t where there is none to give.
func TestNoTerminal(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	p.fails(125, "run", "--rm", "-it", "bb", "true")
	if got := p.must("run", "--rm", "-t", "bb", "sh", "-c", "test -t 1 && echo terminal"); got != "terminal" {
		t.Errorf("-t without a terminal of our own: %q", got)
	}
	p.must("create", "-it", "--name", "made", "bb", "sh", "-c", "tty; exit 3")
	term := newTerminal(t, 24, 80)
	run := term.run(p, "start", "-ai", "made")
	ends(t, run, 3)
	term.await(`^/dev/pts/0\r$`)
	p.must("rm", "made")
	p.works()
}
