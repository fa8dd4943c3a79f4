// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestStopped stops strata in other ways, and at worse moments, than the detach
// keys do while nothing happens.
func TestStopped(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	const one = "exec strata run --rm -it --name one bb "
	for _, c := range []struct {
		name, command string
		steps         func(*place, *terminal, *job)
		end           string
	}{
		{"by a signal", one + "sh -c '" + echoing + "'", stopBySignal, "7"},
		{"in a script", "strata run --rm -it --name one bb sh -c '" + echoing + "'; exit 9", stopByKeys, "9"},
		{"while much is shown", one + "sh -c 'trap \"exit 8\" INT; echo ready; while :; do ls -l /bin; done'", stopWhileShowing, "8"},
		{"while the window changes", one + "sh -c 'trap \"stty size\" WINCH; trap \"exit 4\" INT; " + forever + "'", stopAndResize, "4"},
		{"and put into the background", one + "sh -c '" + echoing + "'", stopAndStay, "7"},
		{"and its container is removed", one + "sh -c '" + echoing + "'", stopAndRemove, "SIGKILL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := placeAt(t, p.dir, p.root)
			term := newTerminal(t, 24, 80)
			t.Cleanup(func() { p.try("rm", "-f", "one") }) // what a failure has left
			cooked := term.mode()
			j := term.job(p, "sh", "-c", c.command)
			term.await(`^ready\r$`)
			c.steps(p, term, j)
			j.expect("ends: " + c.end)
			term.expectMode(cooked)
		})
	}
}

func stopBySignal(p *place, term *terminal, j *job) {
	unix.Kill(j.pid, unix.SIGTSTP)
	j.expect("stops: SIGTSTP")
	goesOn(term, j)
}

func stopByKeys(p *place, term *terminal, j *job) {
	detach(term, j)
	goesOn(term, j)
}

func detach(term *terminal, j *job) {
	term.typed("\x10\x11")
	j.expect("stops: SIGTSTP")
}

func goesOn(term *terminal, j *job) {
	j.order("fg")
	term.typed("word\r")
	term.await(`^got word\r$`)
	term.typed("\x04")
}

func stopWhileShowing(p *place, term *terminal, j *job) {
	detach(term, j)
	p.must("exec", "one", "true")
	j.order("fg")
	term.typed("\x03")
}

// stopAndResize checks that the screen is drawn again, in the size it then has.
func stopAndResize(p *place, term *terminal, j *job) {
	detach(term, j)
	j.order("fg")
	term.await(`^24 80\r$`)
	detach(term, j)
	term.resize(44, 111)
	j.order("fg")
	term.await(`^44 111\r$`)
	term.typed("\x03")
}

// stopAndStay gives the terminal a line editor's mode meanwhile, which is not
// what is to be put back.
func stopAndStay(p *place, term *terminal, j *job) {
	detach(term, j)
	cooked := term.mode()
	term.setMode(func(m *unix.Termios) { m.Lflag &^= unix.ICANON | unix.ECHO })
	j.order("bg")
	j.expect("stops: SIGTTOU")
	term.setMode(func(m *unix.Termios) { *m = cooked })
	goesOn(term, j)
}

func (term *terminal) setMode(change func(*unix.Termios)) {
	mode := term.mode()
	change(&mode)
	if err := unix.IoctlSetTermios(int(term.own.Fd()), unix.TCSETS, &mode); err != nil {
		term.t.Fatal(err)
	}
}

func stopAndRemove(p *place, term *terminal, j *job) {
	detach(term, j)
	j.order("stay")
	p.must("rm", "-f", "one")
}

// TestDetachWithoutShell types the keys where nobody would let strata go on.
func TestDetachWithoutShell(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	term := newTerminal(t, 24, 80)
	run := term.run(p, "run", "--rm", "-it", "bb", "sh", "-c", echoing)
	term.await(`^ready\r$`)
	term.typed("\x10\x11")
	term.await(`^strata: detach: no shell with job control is here to take the terminal.*\r$`)
	term.typed("word\r")
	term.await(`^got word\r$`)
	term.typed("\x04")
	ends(t, run, 7)
}

// TestPanicRestores checks the mode where no other function would put it back.
func TestPanicRestores(t *testing.T) {
	t.Parallel()
	term := newTerminal(t, 24, 80)
	cooked := term.mode()
	own := &ownTerminal{fd: int(term.own.Fd())}
	own.raw()
	if term.mode() == cooked {
		t.Fatal("the terminal is not raw")
	}
	defer func() {
		if r := recover(); r != "a cause" {
			t.Errorf("the panic is %v", r)
		}
		term.expectMode(cooked)
	}()
	defer own.restorePanicking()
	panic("a cause")
}
