// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"strata/mini/internal/command"
)

// cdBuiltin changes the process's directory; PWD is the logical name of it.
func cdBuiltin(s *Shell, args []string) int {
	args = args[1:]
	physical := false
	for len(args) > 0 && (args[0] == "-P" || args[0] == "-L" || args[0] == "--") {
		physical = args[0] == "-P"
		args = args[1:]
	}
	target := s.vars["HOME"].Str
	if len(args) > 0 {
		target = args[0]
	}
	show := target == "-"
	if show {
		target = s.vars["OLDPWD"].Str
	}
	if target == "" {
		return s.fail("cd", "no directory")
	}
	dir := target
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.vars["PWD"].Str, dir)
	}
	dir = filepath.Clean(dir)
	err := unix.Chdir(dir)
	if err != nil && !filepath.IsAbs(target) { // the logical name may be out of date
		err = unix.Chdir(target)
		physical = true
	}
	if err != nil {
		return s.fail("cd", "%s: %s", target, command.Reason(err))
	}
	if physical {
		if real, err := unix.Getwd(); err == nil {
			dir = real
		}
	}
	s.setString("OLDPWD", s.vars["PWD"].Str)
	s.setString("PWD", dir)
	if show {
		fmt.Fprintln(s.out(), dir)
	}
	return 0
}

func pwdBuiltin(s *Shell, args []string) int {
	dir := s.vars["PWD"].Str
	if len(args) > 1 && args[1] == "-P" || dir == "" {
		real, err := unix.Getwd()
		if err != nil {
			return s.fail("pwd", "%s", command.Reason(err))
		}
		dir = real
	}
	fmt.Fprintln(s.out(), dir)
	return 0
}

// readBuiltin reads a line byte by byte: what follows it is for others.
func readBuiltin(s *Shell, args []string) int {
	args = args[1:]
	raw := false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		flag := args[0]
		args = args[1:]
		switch flag {
		case "-r":
			raw = true
		case "-p":
			if len(args) > 0 {
				fmt.Fprint(s.errOut(), args[0])
				args = args[1:]
			}
		default:
			s.fail("read", "illegal option %s", flag)
			return statusUsage
		}
	}
	line, ok := s.readLine(raw)
	if len(args) == 0 {
		args = []string{"REPLY"}
	}
	values := expand.ReadFields(s.config(), line, len(args), raw)
	for i, name := range args {
		value := ""
		if i < len(values) {
			value = values[i]
		}
		if !syntax.ValidName(name) {
			return s.fail("read", "%s: bad variable name", name)
		}
		if err := s.set(name, value); err != nil {
			return s.fail("read", "%v", err)
		}
	}
	return boolStatus(ok)
}

func (s *Shell) readLine(raw bool) (string, bool) {
	var line []byte
	var b [1]byte
	escaped := false
	for {
		if n, err := descriptor(s.files[0]).Read(b[:]); n == 0 || err != nil {
			return string(line), false
		}
		switch {
		case escaped && b[0] == '\n':
			line, escaped = line[:len(line)-1], false
		case b[0] == '\n':
			return string(line), true
		default:
			escaped = !raw && b[0] == '\\' && !escaped
			line = append(line, b[0])
		}
	}
}

// getoptsBuiltin takes one option from the parameters, or from its own further
// arguments (POSIX, getopts).
func getoptsBuiltin(s *Shell, args []string) int {
	if len(args) < 3 {
		s.fail("getopts", "usage: getopts optstring name [arg...]")
		return statusUsage
	}
	spec, name, words := args[1], args[2], s.params
	if len(args) > 3 {
		words = args[3:]
	}
	index, _ := strconv.Atoi(s.vars["OPTIND"].Str)
	index = max(index, 1)
	char := s.optionChar
	if index > len(words) || char == 1 && (len(words[index-1]) < 2 || words[index-1][0] != '-') {
		s.setString(name, "?")
		return 1
	}
	word := words[index-1]
	if word == "--" {
		s.setString(name, "?")
		s.setString("OPTIND", strconv.Itoa(index+1))
		return 1
	}
	char = min(char, len(word)-1)
	letter := word[char]
	char++
	at := strings.IndexByte(strings.TrimPrefix(spec, ":"), letter)
	found := at >= 0 && letter != ':'
	takes := found && strings.HasPrefix(strings.TrimPrefix(spec, ":")[at+1:], ":")
	delete(s.vars, "OPTARG")
	result, missing := string(letter), false
	switch {
	case takes && char < len(word):
		s.setString("OPTARG", word[char:])
		char = len(word)
	case takes && index < len(words):
		s.setString("OPTARG", words[index])
		index++
		char = len(word)
	case takes:
		missing = true
		char = len(word)
	}
	if !found || missing {
		result = s.badOption(spec, letter, missing)
	}
	if char >= len(word) {
		index, char = index+1, 1
	}
	s.setString("OPTIND", strconv.Itoa(index))
	s.optionChar = char
	s.setString(name, result)
	return 0
}

// badOption tells of an option that does not exist or lacks its argument; with
// a ":" before the options it is told by OPTARG alone.
func (s *Shell) badOption(spec string, letter byte, missing bool) string {
	if strings.HasPrefix(spec, ":") {
		s.setString("OPTARG", string(letter))
		if missing {
			return ":"
		}
		return "?"
	}
	if missing {
		s.errorf("no arg for -%c option", letter)
	} else {
		s.errorf("illegal option -%c", letter)
	}
	return "?"
}

func umaskBuiltin(s *Shell, args []string) int {
	old := unix.Umask(0)
	unix.Umask(old)
	args = args[1:]
	symbolic := len(args) > 0 && args[0] == "-S"
	if symbolic {
		args = args[1:]
	}
	if len(args) == 0 {
		if !symbolic {
			fmt.Fprintf(s.out(), "%04o\n", old)
			return 0
		}
		var parts []string
		for i, who := range []string{"u", "g", "o"} {
			allowed := 7 &^ (old >> (6 - 3*i) & 7)
			perms := ""
			for j, letter := range []string{"r", "w", "x"} {
				if allowed&(4>>j) != 0 {
					perms += letter
				}
			}
			parts = append(parts, who+"="+perms)
		}
		fmt.Fprintln(s.out(), strings.Join(parts, ","))
		return 0
	}
	mask, err := strconv.ParseUint(args[0], 8, 32)
	if err == nil && mask <= 0o777 {
		unix.Umask(int(mask))
		return 0
	}
	allowed, err := command.ChangeMode(args[0], uint32(0o777&^old), 0)
	if err != nil {
		return s.fail("umask", "illegal mode: %s", args[0])
	}
	unix.Umask(int(^allowed & 0o777))
	return 0
}

// limits are what ulimit shows, with the unit of each.
var limits = [...]struct {
	letter   byte
	resource int
	unit     uint64
	text     string
}{
	{'c', unix.RLIMIT_CORE, 512, "core file size (blocks)"},
	{'d', unix.RLIMIT_DATA, 1024, "data seg size (kb)"},
	{'f', unix.RLIMIT_FSIZE, 512, "file size (blocks)"},
	{'l', unix.RLIMIT_MEMLOCK, 1024, "max locked memory (kb)"},
	{'m', unix.RLIMIT_RSS, 1024, "max memory size (kb)"},
	{'n', unix.RLIMIT_NOFILE, 1, "open files"},
	{'s', unix.RLIMIT_STACK, 1024, "stack size (kb)"},
	{'t', unix.RLIMIT_CPU, 1, "cpu time (seconds)"},
	{'u', unix.RLIMIT_NPROC, 1, "max user processes"},
	{'v', unix.RLIMIT_AS, 1024, "virtual memory (kb)"},
}

func ulimitBuiltin(s *Shell, args []string) int {
	which, hard, soft, all := byte('f'), false, false, false
	args = args[1:]
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		for _, letter := range []byte(args[0][1:]) {
			switch letter {
			case 'H':
				hard = true
			case 'S':
				soft = true
			case 'a':
				all = true
			default:
				which = letter
			}
		}
		args = args[1:]
	}
	for _, l := range limits {
		if l.letter != which && !all {
			continue
		}
		lim, err := limit(l.resource)
		if err != nil {
			return s.fail("ulimit", "%s", command.Reason(err))
		}
		if len(args) == 0 {
			s.showLimit(l.text, lim, l.unit, hard, all)
		} else if err := setLimit(l.resource, lim, l.unit, args[0], hard, soft); err != nil {
			return s.fail("ulimit", "%s", command.Reason(err))
		}
		if !all {
			return 0
		}
	}
	if !all {
		return s.fail("ulimit", "illegal option -%c", which)
	}
	return 0
}

func (s *Shell) showLimit(text string, lim unix.Rlimit, unit uint64, hard, all bool) {
	value, shown := lim.Cur, "unlimited"
	if hard {
		value = lim.Max
	}
	if value != unix.RLIM_INFINITY {
		shown = strconv.FormatUint(value/unit, 10)
	}
	if all {
		shown = fmt.Sprintf("%-32s %s", text, shown)
	}
	fmt.Fprintln(s.out(), shown)
}

func setLimit(resource int, lim unix.Rlimit, unit uint64, text string, hard, soft bool) error {
	value := uint64(unix.RLIM_INFINITY)
	if text != "unlimited" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return unix.EINVAL
		}
		value = n * unit
	}
	if hard || !soft {
		lim.Max = value
	}
	if soft || !hard {
		lim.Cur = value
	}
	return unix.Setrlimit(resource, &lim)
}

// limit is the limit our children get. For open files Go raises our own soft
// limit and gives children the one it found, so it is read from a child that
// has not run yet: a copy of us, stopped by ptrace at its exec.
func limit(resource int) (lim unix.Rlimit, err error) {
	if resource == unix.RLIMIT_NOFILE {
		if lim, err := inheritedLimit(resource); err == nil {
			return lim, nil
		}
	}
	err = unix.Getrlimit(resource, &lim)
	return lim, err
}

func inheritedLimit(resource int) (lim unix.Rlimit, err error) {
	p, err := startStopped()
	if err != nil {
		return lim, err
	}
	err = unix.Prlimit(p, resource, nil, &lim)
	unix.Kill(p, unix.SIGKILL)
	unix.Wait4(p, nil, 0, nil)
	return lim, err
}

func startStopped() (int, error) {
	p, err := os.StartProcess(self(), []string{"true"}, &os.ProcAttr{Sys: &unix.SysProcAttr{Ptrace: true}})
	if err != nil {
		return 0, err
	}
	return p.Pid, nil
}
