// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// A FlagSet is the flags of a command. They are written --name VALUE,
// --name=VALUE, -n VALUE, -nVALUE or, those without a value, -abc; "--" ends
// them.
type FlagSet struct {
	flags  []*flag
	parent *FlagSet // whose flags are known too
	// ArgumentsEnd ends the flags at the first argument: what follows is
	// another command's.
	ArgumentsEnd bool
}

type flag struct {
	name, short, usage, value string // value is what help calls it; "" for none
	set                       func(string) error
	changed, hidden           bool
}

// BoolVar adds a flag without a value.
func (s *FlagSet) BoolVar(p *bool, name, short, usage string) {
	s.add(&flag{name: name, short: short, usage: usage, set: func(v string) (err error) {
		if *p, err = strconv.ParseBool(v); err != nil {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		return nil
	}})
}

// StringVar adds a flag with a value; help calls it by the word value.
func (s *FlagSet) StringVar(p *string, name, short, value, usage string) {
	s.add(&flag{name: name, short: short, value: value, usage: usage, set: func(v string) error { *p = v; return nil }})
}

// StringsVar adds a flag that may be given more than once.
func (s *FlagSet) StringsVar(p *[]string, name, short, value, usage string) {
	s.add(&flag{name: name, short: short, value: value, usage: usage, set: func(v string) error { *p = append(*p, v); return nil }})
}

func (s *FlagSet) add(f *flag) { s.flags = append(s.flags, f) }

// Hide keeps a flag out of help and completion.
func (s *FlagSet) Hide(name string) { s.named(name).hidden = true }

// Changed reports whether the flag was given.
func (s *FlagSet) Changed(name string) bool { return s.named(name).changed }

func (s *FlagSet) named(name string) *flag {
	for set := s; set != nil; set = set.parent {
		for _, f := range set.flags {
			if f.name == name {
				return f
			}
		}
	}
	return nil
}

func (s *FlagSet) shorthand(letter string) *flag {
	for set := s; set != nil; set = set.parent {
		for _, f := range set.flags {
			if f.short == letter {
				return f
			}
		}
	}
	return nil
}

// helpFlag adds --help, and -h unless that is another flag's.
func (s *FlagSet) helpFlag() *bool {
	var help bool
	short := "h"
	if s.shorthand(short) != nil {
		short = ""
	}
	s.BoolVar(&help, "help", short, "show this help")
	return &help
}

// Parse sets the flags that args name and returns the arguments among them.
func (s *FlagSet) Parse(args []string) (rest []string, err error) {
	for len(args) > 0 {
		a := args[0]
		switch {
		case a == "--":
			return append(rest, args[1:]...), nil
		case len(a) < 2 || a[0] != '-': // "-" is an argument
			if s.ArgumentsEnd {
				return append(rest, args...), nil
			}
			rest, args = append(rest, a), args[1:]
		case strings.HasPrefix(a, "--"):
			args, err = s.long(a[2:], args[1:])
		default:
			args, err = s.short(a[1:], args[1:])
		}
		if err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// long sets --name or --name=value and returns what follows.
func (s *FlagSet) long(a string, args []string) ([]string, error) {
	name, value, hasValue := strings.Cut(a, "=")
	f := s.named(name)
	if f == nil {
		return nil, fmt.Errorf("unknown flag: --%s", name)
	}
	return f.give("--"+name, value, hasValue, args)
}

// short sets the flags of a group of letters, the last of which may have a value.
func (s *FlagSet) short(letters string, args []string) ([]string, error) {
	for letters != "" {
		f := s.shorthand(letters[:1])
		if f == nil {
			return nil, fmt.Errorf("unknown flag: -%s", letters[:1])
		}
		name, more := "-"+letters[:1], letters[1:]
		if f.value == "" {
			if err := f.assign(name, "true"); err != nil {
				return nil, err
			}
			letters = more
			continue
		}
		return f.give(name, strings.TrimPrefix(more, "="), more != "", args)
	}
	return args, nil
}

// give sets a flag, with the next argument where it needs a value and has none.
func (f *flag) give(name, value string, hasValue bool, args []string) ([]string, error) {
	switch {
	case hasValue:
	case f.value == "":
		value = "true"
	case len(args) == 0:
		return nil, fmt.Errorf("flag needs an argument: %s", name)
	default:
		value, args = args[0], args[1:]
	}
	return args, f.assign(name, value)
}

func (f *flag) assign(name, value string) error {
	f.changed = true
	if err := f.set(value); err != nil {
		return fmt.Errorf("flag %s: %w", name, err)
	}
	return nil
}
