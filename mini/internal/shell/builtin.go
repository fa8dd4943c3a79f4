// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/syntax"

	"strata/mini/internal/command"
)

// builtin is a command run in the shell. Assignments before a special one stay
// (POSIX, 2.14), and a function cannot take its place.
type builtin struct {
	special bool
	run     func(s *Shell, args []string) int
}

// findBuiltin is nil for what is not one. It is a switch, not a map: it is
// asked at every command, and a map would be made at every start.
func findBuiltin(name string) *builtin {
	switch name {
	case ":":
		return &builtin{true, func(*Shell, []string) int { return 0 }}
	case ".", "source":
		return &builtin{true, sourceBuiltin}
	case "break", "continue":
		return &builtin{true, breakBuiltin}
	case "eval":
		return &builtin{true, evalBuiltin}
	case "exec":
		return &builtin{true, execBuiltin}
	case "exit", "return":
		return &builtin{true, exitBuiltin}
	case "export", "readonly":
		return &builtin{true, exportBuiltin}
	case "set":
		return &builtin{true, setBuiltin}
	case "shift":
		return &builtin{true, shiftBuiltin}
	case "times":
		return &builtin{true, timesBuiltin}
	case "trap":
		return &builtin{true, trapBuiltin}
	case "unset":
		return &builtin{true, unsetBuiltin}
	}
	return findRegular(name)
}

func findRegular(name string) *builtin {
	switch name {
	case "cd":
		return &builtin{run: cdBuiltin}
	case "pwd":
		return &builtin{run: pwdBuiltin}
	case "local":
		return &builtin{run: localBuiltin}
	case "read":
		return &builtin{run: readBuiltin}
	case "getopts":
		return &builtin{run: getoptsBuiltin}
	case "command", "type":
		return &builtin{run: commandBuiltin}
	case "wait":
		return &builtin{run: waitBuiltin}
	case "jobs":
		return &builtin{run: jobsBuiltin}
	case "umask":
		return &builtin{run: umaskBuiltin}
	case "ulimit":
		return &builtin{run: ulimitBuiltin}
	case "hash", "alias", "unalias", "fg", "bg":
		return &builtin{run: func(*Shell, []string) int { return 0 }}
	case "echo", "printf", "test", "[", "true", "false":
		return &builtin{run: func(s *Shell, args []string) int {
			return command.Run(command.Lookup(args[0]), s.call(args[0], args[1:]))
		}}
	case "kill":
		return &builtin{run: killBuiltin}
	}
	return nil
}

// jobPids replaces %N of kill by the process it means.
func (s *Shell) jobPids(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if n, err := strconv.Atoi(strings.TrimPrefix(arg, "%")); err == nil && arg[0] == '%' && n > 0 && n <= len(s.jobs) {
			args[i] = strconv.Itoa(s.jobs[n-1])
		}
	}
	return args
}

// killBuiltin waits for a signal the shell sends itself: its trap is to run
// before the next command, and Go hands signals on in its own time. So it is for
// process 1, whose end at a signal is our own doing.
func killBuiltin(s *Shell, args []string) int {
	args = s.jobPids(args[1:])
	status := command.Run(command.Lookup("kill"), s.call("kill", args))
	self := slices.Contains(args, strconv.Itoa(os.Getpid())) && !slices.Contains(args, "-0")
	if status != 0 || !self || s.traps.none() && os.Getpid() != 1 {
		return status
	}
	select {
	case sig := <-s.traps.pending:
		s.runTrap(sig)
	case <-time.After(50 * time.Millisecond): // it was one without a trap
	}
	if s.jump != goesOn {
		return s.status
	}
	return status
}

// fail reports a builtin's mistake.
func (s *Shell) fail(name, format string, args ...any) int {
	s.errorf("%s: %s", name, fmt.Sprintf(format, args...))
	return 1
}

func sourceBuiltin(s *Shell, args []string) int {
	if len(args) < 2 {
		return s.fail(args[0], "filename argument required")
	}
	name := args[1]
	if !strings.Contains(name, "/") {
		for dir := range strings.SplitSeq(s.vars["PATH"].Str, ":") {
			if st, err := os.Stat(path.Join(dir, name)); err == nil && st.Mode().IsRegular() {
				name = path.Join(dir, name)
				break
			}
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		if !s.interactive {
			s.jump = exits
		}
		s.fail(args[0], "cannot open %s: %s", name, command.Reason(err))
		return statusUsage
	}
	params := s.params
	if len(args) > 2 {
		s.params = args[2:]
	}
	s.status = 0
	s.returning++
	s.runText(string(text), false)
	s.returning--
	if len(args) > 2 {
		s.params = params
	}
	if s.jump == returns {
		s.jump = goesOn
	}
	return s.status
}

func evalBuiltin(s *Shell, args []string) int {
	s.status = 0
	s.runText(strings.Join(args[1:], " "), false)
	return s.status
}

func execBuiltin(s *Shell, args []string) int {
	args = args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		s.keepFiles = true
		return 0
	}
	s.replace(args, nil)
	return s.status
}

// exitBuiltin is exit and return.
func exitBuiltin(s *Shell, args []string) int {
	status := s.status
	if len(args) > 1 {
		n, err := strconv.Atoi(args[1])
		if err != nil {
			s.fail(args[0], "illegal number: %s", args[1])
			n = statusUsage
		}
		status = n & 0xff
	}
	s.jump = exits
	if args[0] == "return" && s.returning > 0 {
		s.jump = returns
	}
	return status
}

func breakBuiltin(s *Shell, args []string) int {
	n := 1
	if len(args) > 1 {
		var err error
		if n, err = strconv.Atoi(args[1]); err != nil || n < 1 {
			return s.fail(args[0], "illegal number: %s", args[1])
		}
	}
	if s.loops == 0 {
		return 0
	}
	s.levels, s.jump = min(n, s.loops), breaks
	if args[0] == "continue" {
		s.jump = continues
	}
	return 0
}

func shiftBuiltin(s *Shell, args []string) int {
	n := 1
	if len(args) > 1 {
		var err error
		if n, err = strconv.Atoi(args[1]); err != nil || n < 0 {
			return s.fail("shift", "illegal number: %s", args[1])
		}
	}
	if n > len(s.params) {
		return s.fail("shift", "can't shift that many")
	}
	s.params = s.params[n:]
	return 0
}

func timesBuiltin(s *Shell, _ []string) int {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var ru unix.Rusage
		if err := unix.Getrusage(who, &ru); err != nil {
			return s.fail("times", "%v", err)
		}
		show := func(t unix.Timeval) string {
			return fmt.Sprintf("%dm%d.%06ds", t.Sec/60, t.Sec%60, t.Usec)
		}
		fmt.Fprintln(s.out(), show(ru.Utime), show(ru.Stime))
	}
	return 0
}

// commandBuiltin is command and type.
func commandBuiltin(s *Shell, args []string) int {
	name, args := args[0], args[1:]
	show := name == "type"
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		show = show || strings.ContainsAny(args[0], "vV")
		args = args[1:]
	}
	if len(args) == 0 {
		return 0
	}
	if show {
		status := 0
		for _, arg := range args {
			if !s.describe(arg, name == "type") {
				status = statusNotFound
			}
		}
		return status
	}
	if b := findBuiltin(args[0]); b != nil {
		return b.run(s, args)
	}
	return s.wait(s.start(args, nil, s.files))
}

func (s *Shell) describe(name string, long bool) bool {
	short, text := name, ""
	switch {
	case syntax.IsKeyword(name):
		text = " is a shell keyword"
	case findBuiltin(name) != nil && findBuiltin(name).special:
		text = " is a special shell builtin"
	case s.funcs[name] != nil:
		text = " is a shell function"
	case findBuiltin(name) != nil:
		text = " is a shell builtin"
	default:
		file, status, _ := s.find(name, nil)
		if status != 0 {
			if long {
				s.errorf("type: %s: not found", name)
			}
			return false
		}
		short, text = file, " is "+file
	}
	if long {
		fmt.Fprintln(s.out(), name+text)
	} else {
		fmt.Fprintln(s.out(), short)
	}
	return true
}

func waitBuiltin(s *Shell, args []string) int {
	pids := s.jobPids(args[1:])
	if len(args) == 1 {
		for _, pid := range s.jobs {
			pids = append(pids, strconv.Itoa(pid))
		}
	}
	status := 0
	for _, arg := range pids {
		pid, err := strconv.Atoi(arg)
		if err != nil {
			s.fail("wait", "illegal number: %s", arg)
			return statusUsage
		}
		var interrupted bool
		if status, interrupted = s.waitFor(pid); interrupted {
			return status
		}
	}
	if len(args) == 1 {
		return 0
	}
	return status
}

func jobsBuiltin(s *Shell, args []string) int {
	s.reapAll()
	for i, pid := range s.jobs {
		state := "Running"
		if c := s.children[pid]; c == nil || c.done {
			state = "Done"
		}
		if len(args) > 1 && args[1] == "-p" {
			fmt.Fprintln(s.out(), pid)
		} else {
			fmt.Fprintf(s.out(), "[%d] %d %s\n", i+1, pid, state)
		}
	}
	return 0
}
