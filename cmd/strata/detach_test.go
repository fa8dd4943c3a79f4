// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// jobs runs a shell with job control on the terminal.
func (term *terminal) jobs(p *place) *program {
	cmd := exec.Command("sh", "-im")
	cmd.Dir, cmd.Env = p.dir, append(p.env, "PS1=$ ", "PATH="+os.Getenv(binEnv)+":"+os.Getenv("PATH"))
	cmd.Stdin = term.own
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
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

// TestDetachKeys gives the terminal back to a shell and takes it again, while
// the container goes on.
func TestDetachKeys(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	p.must("import", os.Getenv(rootfsEnv), "bb")
	term := newTerminal(t, 24, 80)
	shell := term.jobs(p)
	term.typed("strata run --rm -it --name one bb sh -c 'echo rea''dy; while read x; do echo got $x; done'\r")
	term.await(`^ready\r$`)
	p.must("exec", "one", "true") // it is noted by now, which a stopped strata could not do
	term.typed("\x10a\x10\x11")   // only the second is followed by its other half
	term.await(`Stopped`)
	term.typed("stty -a | grep -o '[-]*icanon'; strata exec one echo still he''re\r")
	term.await(`^icanon\r$`)
	term.await(`^still here\r$`)
	term.typed("fg\r")
	term.await(`strata run`)
	term.typed("b\r")
	term.await("got .*ab\r$")
	term.typed("\x04")
	term.await(`ab\r\n(.*\n)*\$ $`)
	term.typed("exit 6\r")
	ends(t, shell, 6)
}

func TestBadDetachKeys(t *testing.T) {
	t.Parallel()
	needsContainers(t)
	p := newPlace(t)
	for _, verb := range [][]string{{"run", "bb", "true"}, {"exec", "one", "true"}, {"start", "-a", "one"}} {
		p.fails(125, append([]string{verb[0], "--detach-keys", "ctrl-p,nonsense"}, verb[1:]...)...)
	}
}
