// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"fmt"
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
	dir, err := s.changeDirectory(target, physical)
	if err != nil {
		return s.fail("cd", "%s: %s", target, command.Reason(err))
	}
	s.setString("OLDPWD", s.vars["PWD"].Str)
	s.setString("PWD", dir)
	if show {
		fmt.Fprintln(s.out(), dir)
	}
	return 0
}

func (s *Shell) changeDirectory(target string, physical bool) (dir string, err error) {
	dir = target
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.vars["PWD"].Str, dir)
	}
	dir = filepath.Clean(dir)
	err = unix.Chdir(dir)
	if err != nil && !filepath.IsAbs(target) { // the logical name may be out of date
		err = unix.Chdir(target)
		physical = true
	}
	if err == nil && physical {
		if real, err := unix.Getwd(); err == nil {
			dir = real
		}
	}
	return dir, err
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
