// SPDX-License-Identifier: Apache-2.0

package shell

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// exportBuiltin is export and readonly.
func exportBuiltin(s *Shell, args []string) int {
	mark := func(v *expand.Variable) { v.Exported = true }
	has := func(v expand.Variable) bool { return v.Exported }
	if args[0] == "readonly" {
		mark = func(v *expand.Variable) { v.ReadOnly = true }
		has = func(v expand.Variable) bool { return v.ReadOnly }
	}
	if len(args) == 1 || args[1] == "-p" {
		for _, name := range s.names(has) {
			fmt.Fprintf(s.out(), "%s %s=%s\n", args[0], name, quoteAlways(s.vars[name].Str))
		}
		return 0
	}
	status := 0
	for _, arg := range args[1:] {
		if arg == "--" {
			continue
		}
		if err := s.declare(arg, mark); err != nil {
			status = s.fail(args[0], "%v", err)
		}
	}
	return status
}

func (s *Shell) names(has func(expand.Variable) bool) (names []string) {
	for name, v := range s.vars {
		if has(v) && v.Set {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// declare takes NAME or NAME=VALUE.
func (s *Shell) declare(arg string, mark func(*expand.Variable)) error {
	name, value, hasValue := strings.Cut(arg, "=")
	if !syntax.ValidName(name) {
		return fmt.Errorf("%s: bad variable name", name)
	}
	if hasValue {
		if err := s.set(name, value); err != nil {
			return err
		}
	}
	v := s.vars[name]
	v.Kind = expand.String
	mark(&v)
	s.vars[name] = v
	return nil
}

func localBuiltin(s *Shell, args []string) int {
	if len(s.locals) == 0 {
		return s.fail("local", "not in a function")
	}
	frame := s.locals[len(s.locals)-1]
	for _, arg := range args[1:] {
		name, _, hasValue := strings.Cut(arg, "=")
		if _, ok := frame[name]; !ok {
			frame[name] = s.vars[name]
			if !hasValue {
				delete(s.vars, name)
			}
		}
		if err := s.declare(arg, func(*expand.Variable) {}); err != nil {
			return s.fail("local", "%v", err)
		}
	}
	return 0
}

func unsetBuiltin(s *Shell, args []string) int {
	functions := false
	for _, arg := range args[1:] {
		switch {
		case arg == "-f":
			functions = true
		case arg == "-v":
		case functions:
			delete(s.funcs, arg)
		case s.vars[arg].ReadOnly:
			return s.fail("unset", "%s: %v", arg, errReadOnly)
		default:
			delete(s.vars, arg)
		}
	}
	return 0
}

func setBuiltin(s *Shell, args []string) int {
	args = args[1:]
	if len(args) == 0 {
		for _, name := range s.names(func(expand.Variable) bool { return true }) {
			fmt.Fprintf(s.out(), "%s=%s\n", name, quoteAlways(s.vars[name].Str))
		}
		return 0
	}
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			s.params = args
			return 0
		}
		rest, err := s.setOptions(arg, args)
		if err != nil {
			s.fail("set", "%v", err)
			return statusUsage
		}
		args = rest
	}
	if len(args) > 0 {
		s.params = args
	}
	return 0
}

func (s *Shell) setOptions(arg string, args []string) ([]string, error) {
	on := arg[0] == '-'
	for _, letter := range []byte(arg[1:]) {
		if letter != 'o' {
			if err := s.setLetter(letter, on); err != nil {
				return nil, err
			}
			continue
		}
		if len(args) == 0 {
			for _, o := range optionTable {
				fmt.Fprintf(s.out(), "%-16s%s\n", o.name, map[bool]string{true: "on", false: "off"}[*o.of(&s.opts)])
			}
			return args, nil
		}
		if err := s.setOption(args[0], on); err != nil {
			return nil, err
		}
		args = args[1:]
	}
	return args, nil
}
