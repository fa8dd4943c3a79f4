// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"strata/mini/internal/command"
)

func newReader(text string) io.Reader { return strings.NewReader(text) }

// simple runs a simple command: assignments, a function, a builtin or a
// program (POSIX, 2.9.1).
func (s *Shell) simple(cmd *syntax.CallExpr, tail bool) {
	s.subst = -1
	args, err := s.words(s.config(), cmd.Args)
	if err != nil {
		s.expansionError(err)
		return
	}
	if len(args) == 0 {
		if err := s.assign(cmd.Assigns); err != nil {
			s.expansionError(err)
			return
		}
		s.status = max(s.subst, 0)
		return
	}
	if s.opts.xtrace {
		s.trace(args)
	}
	s.invoke(cmd.Assigns, args, tail)
}

func (s *Shell) invoke(assigns []*syntax.Assign, args []string, tail bool) {
	decl, isFunction := s.funcs[args[0]]
	builtin := findBuiltin(args[0])
	var err error
	switch {
	case builtin != nil && builtin.special:
		if err = s.assign(assigns); err == nil {
			s.status = builtin.run(s, args)
		}
	case isFunction:
		err = s.scoped(assigns, func() { s.callFunction(decl, args[1:]) })
	case builtin != nil:
		err = s.scoped(assigns, func() { s.status = builtin.run(s, args) })
	default:
		s.program(assigns, args, tail)
	}
	if err != nil {
		s.expansionError(err)
	}
}

// declares are the builtins whose name=value arguments are assignments: they
// are not split into fields (POSIX, 2.9.1.1).
func declares(args []*syntax.Word) bool {
	switch args[0].Lit() {
	case "export", "readonly", "local":
		return true
	}
	return false
}

// words expands the words of a simple command.
func (s *Shell) words(cfg *expand.Config, words []*syntax.Word) ([]string, error) {
	if len(words) == 0 {
		return nil, nil
	}
	if !declares(words) {
		return expand.Fields(cfg, words...)
	}
	var args []string
	for _, word := range words {
		if lit, ok := word.Parts[0].(*syntax.Lit); ok && strings.Contains(lit.Value, "=") {
			value, err := expand.Literal(cfg, word)
			if err != nil {
				return nil, err
			}
			args = append(args, value)
			continue
		}
		fields, err := expand.Fields(cfg, word)
		if err != nil {
			return nil, err
		}
		args = append(args, fields...)
	}
	return args, nil
}

// program runs an executable file and waits for it.
func (s *Shell) program(assigns []*syntax.Assign, args []string, tail bool) {
	pairs, err := s.pairs(s.config(), assigns)
	if err != nil {
		s.expansionError(err)
		return
	}
	if tail && s.canReplace() {
		s.replace(args, pairs)
		return
	}
	s.status = s.wait(s.start(args, pairs, s.files))
}

func (s *Shell) pairs(cfg *expand.Config, assigns []*syntax.Assign) ([]string, error) {
	var pairs []string
	for _, as := range assigns {
		value, err := s.assigned(cfg, as)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, as.Name.Value+"="+value)
	}
	return pairs, nil
}

// canReplace: nothing of the shell is needed once the program has run.
func (s *Shell) canReplace() bool {
	return !s.interactive && s.traps.none() && len(s.jobs) == 0
}

// find is the file a command's name stands for, and the status where there is
// none.
func (s *Shell) find(name string, pairs []string) (path string, status int, reason string) {
	if strings.Contains(name, "/") {
		return executable(name)
	}
	dirs := s.vars["PATH"].Str
	for _, pair := range pairs {
		if value, ok := strings.CutPrefix(pair, "PATH="); ok {
			dirs = value
		}
	}
	status, reason = statusNotFound, "command not found"
	for dir := range strings.SplitSeq(dirs, ":") {
		if dir == "" {
			dir = "."
		}
		path, st, why := executable(strings.TrimSuffix(dir, "/") + "/" + name)
		if st == 0 {
			return path, 0, ""
		}
		if st == statusCannotExecute && why != "Is a directory" {
			status, reason = st, why
		}
	}
	return "", status, reason
}

func executable(path string) (string, int, string) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			return "", statusNotFound, command.Reason(err)
		}
		return "", statusCannotExecute, command.Reason(err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return "", statusCannotExecute, "Is a directory"
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
		return "", statusCannotExecute, command.Reason(err)
	}
	return path, 0, ""
}

// replace is exec: the program takes the process. It comes back only where
// that fails, and then the shell ends.
func (s *Shell) replace(args, pairs []string) {
	s.jump = exits
	path, status, reason := s.find(args[0], pairs)
	if status != 0 {
		s.errorf("%s: %s", args[0], reason)
		s.status = status
		return
	}
	failed := s.errOut()
	if fd, err := unix.FcntlInt(uintptr(max(s.files[2], 0)), unix.F_DUPFD_CLOEXEC, 32); err == nil {
		failed = descriptor(fd)
	}
	s.place()
	err := unix.Exec(path, args, s.exported(pairs))
	if err == unix.ENOEXEC {
		err = unix.Exec(self(), append([]string{"sh", path}, args[1:]...), s.exported(pairs))
	}
	io.WriteString(failed, s.name+": "+args[0]+": "+command.Reason(err)+"\n")
	os.Exit(statusCannotExecute)
}

// place puts the mapped descriptors at their own numbers, by way of higher ones
// so that none overwrites another.
func (s *Shell) place() {
	var high files
	for i, fd := range s.files {
		high[i] = -1
		if fd >= 0 {
			if up, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 64); err == nil {
				high[i] = up
			}
		}
	}
	for i, fd := range high {
		if fd >= 0 {
			unix.Dup3(fd, i, 0)
		} else if i < 3 {
			unix.Close(i)
		}
	}
}
