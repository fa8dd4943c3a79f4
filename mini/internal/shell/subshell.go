// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"strata/mini/internal/command"
)

// subshellFlag, as the only argument, says that the shell's state and program
// are to be read from stateFile.
const (
	subshellFlag = "--subshell"
	stateFile    = 10
)

// self is our own executable. Without /proc it is where the image has it.
func self() string {
	const link = "/proc/self/exe"
	if _, err := os.Readlink(link); err == nil {
		return link
	}
	return "/bin/mini"
}

// subshell starts a copy of this shell that runs the statements, and returns
// its pid, as start does.
func (s *Shell) subshell(stmts []*syntax.Stmt, f files) int {
	state, err := s.encode(stmts)
	if err == nil {
		var fd int
		if fd, err = memoryFile(state); err == nil {
			defer unix.Close(fd)
			var pid int
			if pid, err = s.fork(self(), []string{"sh", subshellFlag}, s.exported(nil), append(f[:], fd)); err == nil {
				return pid
			}
		}
	}
	s.errorf("cannot fork: %s", command.Reason(err))
	return s.ended(statusCannotExecute)
}

// encoder writes the state as strings that end in a zero byte, which no value
// of a shell can hold.
type encoder struct{ strings.Builder }

func (e *encoder) put(values ...string) {
	for _, v := range values {
		e.WriteString(v)
		e.WriteByte(0)
	}
}

func (e *encoder) number(n int) { e.put(strconv.Itoa(n)) }

func (s *Shell) encode(stmts []*syntax.Stmt) (string, error) {
	e := &encoder{}
	e.put(s.name, s.letters(), strconv.FormatBool(s.opts.pipefail))
	for _, n := range []int{s.pid, s.status, s.background, min(s.tested, 1), min(s.returning, 1)} {
		e.number(n)
	}
	e.number(len(s.params))
	e.put(s.params...)
	e.number(len(s.vars))
	for name, v := range s.vars {
		e.put(name, v.Str, flags(v))
	}
	e.number(len(s.funcs))
	for _, decl := range s.funcs {
		source, err := source(&syntax.Stmt{Cmd: decl})
		if err != nil {
			return "", err
		}
		e.put(source)
	}
	body, err := source(stmts...)
	e.put(body)
	return e.String(), err
}

func flags(v expand.Variable) (set string) {
	if v.Exported {
		set += "x"
	}
	if v.ReadOnly {
		set += "r"
	}
	if v.Set {
		set += "s"
	}
	return set
}

func source(stmts ...*syntax.Stmt) (string, error) {
	var b strings.Builder
	err := syntax.NewPrinter().Print(&b, &syntax.File{Stmts: stmts})
	return b.String(), err
}

// resume is a subshell's main: it reads the state and runs the program.
func resume() int {
	text, err := io.ReadAll(descriptor(stateFile))
	unix.Close(stateFile)
	if err != nil {
		io.WriteString(os.Stderr, "sh: "+subshellFlag+" is for the shell itself\n")
		return statusUsage
	}
	s := New("sh")
	s.nested = true
	program, err := s.decode(&decoder{rest: string(text)})
	if err != nil {
		s.errorf("%v", err)
		return statusUsage
	}
	s.runText(program, true)
	return s.finish()
}

type decoder struct {
	rest string
	err  error
}

func (d *decoder) next() string {
	value, rest, ok := strings.Cut(d.rest, "\x00")
	if !ok {
		d.err = errors.New("the subshell's state is cut short")
	}
	d.rest = rest
	return value
}

func (d *decoder) number() int {
	n, err := strconv.Atoi(d.next())
	if err != nil && d.err == nil {
		d.err = err
	}
	return n
}

func (s *Shell) decode(d *decoder) (program string, err error) {
	s.name = d.next()
	for _, letter := range []byte(d.next()) {
		if letter != 'i' {
			_ = s.setLetter(letter, true)
		}
	}
	s.opts.pipefail = d.next() == "true"
	s.pid, s.status, s.background, s.tested, s.returning = d.number(), d.number(), d.number(), d.number(), d.number()
	for n := d.number(); n > 0 && d.err == nil; n-- {
		s.params = append(s.params, d.next())
	}
	for n := d.number(); n > 0 && d.err == nil; n-- {
		name, value, flags := d.next(), d.next(), d.next()
		s.vars[name] = expand.Variable{Kind: expand.String, Str: value, Exported: strings.Contains(flags, "x"),
			ReadOnly: strings.Contains(flags, "r"), Set: strings.Contains(flags, "s")}
	}
	for n := d.number(); n > 0 && d.err == nil; n-- {
		file, err := parser().Parse(strings.NewReader(d.next()), "")
		if err != nil {
			return "", err
		}
		s.list(slices.Clone(file.Stmts), false)
		s.status = 0
	}
	return d.next(), d.err
}
