// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestBadDetachKeys(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	for _, verb := range [][]string{{"run", "bb", "true"}, {"exec", "one", "true"}, {"start", "-a", "one"}} {
		p.fails(125, append([]string{verb[0], "--detach-keys", "ctrl-p,nonsense"}, verb[1:]...)...)
	}
}

// echoing says what it reads, and ends with 7.
const echoing = `echo ready; while read x; do echo "got $x"; done; exit 7`

// strata starts it as a job in the foreground.
func (term *terminal) strata(p *place, args ...string) *job {
	p.t.Helper()
	return term.job(p, append([]string{filepath.Join(p.bin, "strata")}, args...)...)
}

func (term *terminal) expectMode(want unix.Termios) {
	term.t.Helper()
	if got := term.mode(); got != want {
		term.t.Errorf("the terminal's mode is %+v, want %+v", got, want)
	}
}

// TestDetachKeys gives the terminal back to a shell and takes it again, while
// the container goes on.
func TestDetachKeys(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	p.must("create", "-it", "--name", "made", "bb", "sh", "-c", echoing)
	p.running("other", "bb")
	for _, c := range []struct {
		container, detach string
		args              []string
	}{
		{"one", "\x10\x11", []string{"run", "--rm", "-it", "--name", "one", "bb", "sh", "-c", echoing}},
		{"two", "\x10\x11", []string{"run", "--detach-keys", "", "--rm", "-it", "--name", "two", "bb", "sh", "-c", echoing}},
		{"three", "\x1dz", []string{"run", "--detach-keys", "ctrl-],z", "--rm", "-it", "--name", "three", "bb", "sh", "-c", echoing}},
		{"made", "\x10\x11", []string{"start", "-ai", "made"}},
		{"other", "\x10\x11", []string{"exec", "-it", "other", "sh", "-c", echoing}},
	} {
		t.Run(c.container+" "+c.args[0], func(t *testing.T) {
			p := placeAt(t, p.dir, p.root)
			term := newTerminal(t, 24, 80)
			cooked := term.mode()
			j := term.strata(p, c.args...)
			term.await(`^ready\r$`)
			raw := term.mode()
			if raw.Lflag&unix.ICANON != 0 {
				t.Errorf("the terminal is not raw: %+v", raw)
			}
			first, second := c.detach[:1], c.detach[1:]
			term.typed(first + "abc" + first) // alone it is only a key, and the second waits for what follows
			term.await(`abc$`)
			term.typed(second + "this is nobody's")
			j.expect("stops: SIGTSTP")
			term.expectMode(cooked)
			p.must("exec", c.container, "sh", "-c", "echo meanwhile >/dev/pts/0")

			term.typed("d\r") // too soon, as what was written meanwhile
			j.order("fg")
			term.await(`meanwhile\r$`) // with one \r, so not before the mode was raw
			term.await(`^got .abcd\r$`)
			term.expectMode(raw)
			term.typed(c.detach)
			j.expect("stops: SIGTSTP")
			term.expectMode(cooked)
			j.order("fg")
			term.typed("again\r")
			term.await(`^got again\r$`)
			term.typed("\x04")
			j.expect("ends: 7")
			term.expectMode(cooked)
		})
	}
	p.must("rm", "made")
	p.must("rm", "-f", "other")
}
