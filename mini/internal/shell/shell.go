// SPDX-License-Identifier: Apache-2.0

// Package shell is mini's sh: POSIX's language as mvdan.cc/sh parses and
// expands it, run with real processes.
//
// The interpreter that comes with mvdan.cc/sh runs subshells as goroutines of
// one process, so $! is no process, trap takes no signals, exec replaces
// nothing and there are no descriptors above 2. A container's first process
// needs all four. Go cannot fork, so a subshell here is our own executable
// started again and given the shell's state (subshell.go).
package shell

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"strata/mini/internal/command"
)

// Exit statuses POSIX gives a meaning (2.8.2, Exit Status for Commands).
const (
	statusUsage         = 2
	statusCannotExecute = 126
	statusNotFound      = 127
	statusSignal        = 128 // and the signal's number
)

// options are what set turns on and off.
type options struct {
	allexport, errexit, noclobber, noexec, noglob, nounset, pipefail, verbose, xtrace bool
}

// Shell is one shell environment (POSIX, 2.12). It changes the process's
// working directory and umask, and nothing else that is the process's.
type Shell struct {
	name   string // $0
	pid    int    // $$, in subshells too
	params []string
	vars   map[string]expand.Variable
	funcs  map[string]*syntax.FuncDecl
	alien  []string // of the environment, what cannot be a variable
	opts   options
	files  files
	locals []map[string]expand.Variable // of each function call, what local replaced

	status    int // $?
	subst     int // of the last command substitution, -1 where there was none
	jump      jump
	levels    int // break and continue: loops to leave
	loops     int // loops around the command, in this function
	returning int // functions and sourced files around it
	tested    int // >0: a failure is not for errexit
	keepFiles bool

	children    map[int]*child
	background  int // $!
	jobs        []int
	traps       traps
	interactive bool
	nested      bool // a subshell
	optionChar  int  // getopts: where in the argument it is
}

// jump is how control leaves the ordinary sequence.
type jump int

const (
	goesOn jump = iota
	breaks
	continues
	returns
	exits
)

// New makes the shell environment of a process from what it inherited.
func New(name string) *Shell {
	s := &Shell{name: name, pid: os.Getpid(), vars: map[string]expand.Variable{}, funcs: map[string]*syntax.FuncDecl{},
		files: inheritedFiles(), children: map[int]*child{}, subst: -1, optionChar: 1}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if !syntax.ValidName(name) {
			s.alien = append(s.alien, pair)
			continue
		}
		s.vars[name] = expand.Variable{Set: true, Exported: true, Kind: expand.String, Str: value}
	}
	for name, value := range map[string]string{"IFS": " \t\n", "OPTIND": "1", "PS4": "+ ", "PS2": "> "} {
		s.setString(name, value)
	}
	s.setString("PPID", fmt.Sprint(os.Getppid()))
	s.initDirectory()
	return s
}

// initDirectory keeps an inherited PWD only where it names the directory we
// are in.
func (s *Shell) initDirectory() {
	pwd := s.vars["PWD"].Str
	here, err := os.Stat(".")
	there, err2 := os.Stat(pwd)
	if strings.HasPrefix(pwd, "/") && err == nil && err2 == nil && os.SameFile(here, there) {
		return
	}
	if dir, err := unix.Getwd(); err == nil {
		v := s.vars["PWD"]
		v.Set, v.Kind, v.Str = true, expand.String, dir
		s.vars["PWD"] = v
	}
}

// Main is sh with its arguments; it returns the exit status.
func Main(name string, args []string) int {
	if len(args) == 1 && args[0] == subshellFlag {
		return resume()
	}
	s := New(name)
	in, err := s.arguments(args)
	if err != nil {
		s.errorf("%v", err)
		return statusUsage
	}
	if strings.HasPrefix(name, "-") || in.login {
		s.name = strings.TrimPrefix(name, "-")
		s.profile()
	}
	switch {
	case s.jump == exits:
	case in.isCommand:
		s.runText(in.command, true)
	case in.file != "":
		s.runFile(in.file)
	default:
		s.runInput(in.interactive)
	}
	return s.finish()
}

// input is where the commands come from.
type input struct {
	command            string
	isCommand          bool
	file               string
	interactive, login bool
}

func (s *Shell) arguments(args []string) (in input, err error) {
	fromInput := false
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			break
		}
		on := arg[0] == '-'
		for _, letter := range arg[1:] {
			switch letter {
			case 'c':
				in.isCommand = true
			case 's':
				fromInput = true
			case 'i':
				in.interactive = true
			case 'l':
				in.login = true
			case 'o':
				if len(args) == 0 {
					return in, errors.New("-o: option name missing")
				}
				err = s.setOption(args[0], on)
				args = args[1:]
			default:
				err = s.setLetter(byte(letter), on)
			}
			if err != nil {
				return in, err
			}
		}
	}
	return in, s.operands(&in, args, fromInput)
}

func (s *Shell) operands(in *input, args []string, fromInput bool) error {
	switch {
	case in.isCommand:
		if len(args) == 0 {
			return errors.New("-c requires an argument")
		}
		in.command, args = args[0], args[1:]
		if len(args) > 0 {
			s.name, args = args[0], args[1:]
		}
	case len(args) > 0 && !fromInput:
		in.file = args[0]
		s.name, args = args[0], args[1:]
	default:
		_, errIn := unix.IoctlGetTermios(0, unix.TCGETS)
		_, errErr := unix.IoctlGetTermios(2, unix.TCGETS)
		in.interactive = in.interactive || errIn == nil && errErr == nil
	}
	s.params = args
	return nil
}

// profile is what a login shell reads first.
func (s *Shell) profile() {
	for _, name := range []string{"/etc/profile", s.vars["HOME"].Str + "/.profile"} {
		if text, err := os.ReadFile(name); err == nil && s.jump == goesOn {
			s.runText(string(text), false)
		}
	}
}

func parser() *syntax.Parser { return syntax.NewParser(syntax.Variant(syntax.LangPOSIX)) }

// runText runs a program held in memory. If it is the last thing this shell
// does, its last command may take the shell's place.
func (s *Shell) runText(text string, last bool) {
	file, err := parser().Parse(strings.NewReader(text), "")
	if err != nil {
		s.syntaxError(err)
		return
	}
	s.list(file.Stmts, last)
}

func (s *Shell) syntaxError(err error) {
	s.errorf("syntax error: %v", strings.TrimPrefix(err.Error(), s.name+":"))
	s.status = statusUsage
	if !s.interactive {
		s.jump = exits
	}
}

func (s *Shell) runFile(name string) {
	text, err := os.ReadFile(name)
	if err != nil {
		s.errorf("cannot open %s: %s", name, command.Reason(err))
		s.status = statusNotFound
		if errors.Is(err, os.ErrPermission) {
			s.status = statusCannotExecute
		}
		return
	}
	if line, _, _ := strings.Cut(string(text), "\n"); strings.Contains(line, "\x00") {
		s.errorf("%s: cannot execute binary file", name)
		s.status = statusCannotExecute
		return
	}
	s.runText(string(text), true)
}

// list runs statements in order. tail says nothing is to be done after them.
func (s *Shell) list(stmts []*syntax.Stmt, tail bool) {
	for i, st := range stmts {
		s.stmt(st, tail && i == len(stmts)-1)
		if s.jump != goesOn {
			return
		}
	}
	if len(stmts) == 0 {
		s.status = 0
	}
}

// finish runs the EXIT trap and gives the status of the process.
func (s *Shell) finish() int {
	s.runTraps()
	if action := s.traps.actions[0]; action != "" {
		s.traps.actions[0] = ""
		status := s.status
		s.jump = goesOn
		s.runText(action, false)
		if s.jump != exits {
			s.status = status
		}
	}
	return s.status & 0xff
}

// out and errOut write where the shell's descriptors 1 and 2 lead at the time.
func (s *Shell) out() io.Writer    { return descriptor(s.files[1]) }
func (s *Shell) errOut() io.Writer { return descriptor(s.files[2]) }

func (s *Shell) errorf(format string, args ...any) {
	fmt.Fprintf(s.errOut(), "%s: %s\n", s.name, fmt.Sprintf(format, args...))
}

// call makes a command's Call for a run inside the shell.
func (s *Shell) call(name string, args []string) *command.Call {
	return &command.Call{Name: name, Args: args, In: descriptor(s.files[0]), Out: bufio.NewWriter(s.out()), Err: s.errOut(),
		Descriptor: func(n int) int {
			if n >= 0 && n < len(s.files) {
				return s.files[n]
			}
			return n
		}}
}
