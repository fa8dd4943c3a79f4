// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// traps are the actions of signals; number 0 is EXIT. An empty action of a
// signal in ignored is the one that ignores it.
type traps struct {
	actions [65]string
	ignored [65]bool
	pending chan os.Signal
}

func (t *traps) none() bool {
	return !slices.ContainsFunc(t.actions[:], func(action string) bool { return action != "" })
}

// runTraps runs the actions of the signals that have come.
func (s *Shell) runTraps() {
	for {
		select {
		case sig := <-s.traps.pending:
			s.runTrap(sig)
		default:
			return
		}
	}
}

func (s *Shell) runTrap(sig os.Signal) {
	number, ok := sig.(unix.Signal)
	if !ok || s.traps.actions[number] == "" {
		return
	}
	status := s.status
	s.runText(s.traps.actions[number], false)
	if s.jump == goesOn {
		s.status = status
	}
}

func trapBuiltin(s *Shell, args []string) int {
	args = args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 || args[0] == "-p" {
		s.listTraps()
		return 0
	}
	action := args[0]
	_, err := strconv.Atoi(action)
	switch {
	case len(args) == 1 || err == nil:
		action = "-"
	default:
		args = args[1:]
	}
	status := 0
	for _, name := range args {
		number, ok := signalNumber(name)
		if !ok {
			s.errorf("trap: %s: bad trap", name)
			status = 1
			continue
		}
		s.setTrap(number, action)
	}
	return status
}

func (s *Shell) listTraps() {
	for number, action := range s.traps.actions {
		if action != "" || s.traps.ignored[number] {
			fmt.Fprintf(s.out(), "trap -- %s %s\n", quoteAlways(action), signalName(number))
		}
	}
}

func quoteAlways(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// signalNumber takes a number or a name, with SIG or without; EXIT is 0.
func signalNumber(name string) (int, bool) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, n >= 0 && n < 65
	}
	name = strings.TrimPrefix(strings.ToUpper(name), "SIG")
	if name == "EXIT" {
		return 0, true
	}
	n := unix.SignalNum("SIG" + name)
	return int(n), n != 0
}

func signalName(number int) string {
	if number == 0 {
		return "EXIT"
	}
	return strings.TrimPrefix(unix.SignalName(unix.Signal(number)), "SIG")
}

// setTrap: "-" is the default, "" ignores, and programs we start inherit that.
func (s *Shell) setTrap(number int, action string) {
	s.traps.ignored[number] = action == "" && number > 0
	s.traps.actions[number] = strings.TrimPrefix(action, "-")
	if action != "-" {
		s.traps.actions[number] = action
	}
	if number == 0 {
		return
	}
	sig := unix.Signal(number)
	if s.traps.pending == nil {
		s.traps.pending = make(chan os.Signal, 64)
	}
	signal.Reset(sig) // also what process 1 does by default
	switch action {
	case "-":
	case "":
		signal.Ignore(sig)
	default:
		signal.Notify(s.traps.pending, sig)
	}
}
