// SPDX-License-Identifier: Apache-2.0

// Package cli reads command lines: verbs with flags, help, and completion for
// shells. It follows what users of Docker and GNU tools expect.
//
// It is small on purpose. The usual libraries bring regular expressions,
// templates and the network packages along, whose initialisation every start of
// a container would pay for; and a verb is made only when it is asked for.
package cli

import (
	"fmt"
	"strings"
)

// A Verb is a command that may be asked for, and how to make it.
type Verb struct {
	Name string
	New  func() *Command
}

// A Command is one verb. Its zero value takes no flags and any arguments.
type Command struct {
	Use   string // "commit [OPTIONS] CONTAINER [NAME[:TAG]]"; the first word is its name
	Short string // one line, for the list of verbs
	Long  string // for its own help; Short if empty
	// Min and Max bound the number of arguments; Max below zero is no bound.
	Min, Max int
	Run      func(args []string) error
	// Complete lists what the argument after args may be.
	Complete func(args []string) []string
	// Raw hands all arguments to Run as they are, flags and --help too.
	Raw bool
	// Verbs make it a group, of which the next word names one: "image prune". The
	// group itself has only Use and Short then.
	Verbs []Verb

	flags FlagSet
}

// Name is the first word of Use.
func (c *Command) Name() string {
	name, _, _ := strings.Cut(c.Use, " ")
	return name
}

// Flags are the command's own.
func (c *Command) Flags() *FlagSet { return &c.flags }

// A UsageError is a command line that cannot be read.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// A Program is a set of verbs. Global flags may stand before the verb and among
// its own.
type Program struct {
	Name, Short string
	Verbs       []Verb
	Global      FlagSet
	Out         Output
}

// Output takes help and completion. It is os.Stdout but in tests.
type Output interface{ WriteString(string) (int, error) }

// Run carries out one command line, without the program's name.
func (p *Program) Run(args []string) error {
	rest, help, err := p.global(args)
	if err != nil {
		return Usagef("%w; see %s --help", err, p.Name)
	}
	if help || len(rest) == 0 {
		return p.help()
	}
	name, rest := rest[0], rest[1:]
	switch name {
	case "help":
		if len(rest) > 0 {
			return p.verb(rest[0], append(rest[1:], "--help"))
		}
		return p.help()
	case "completion":
		return p.completion(rest)
	case "__complete":
		return p.complete(rest)
	}
	return p.verb(name, rest)
}

// global reads the flags before the verb.
func (p *Program) global(args []string) (rest []string, help bool, err error) {
	before := FlagSet{parent: &p.Global, ArgumentsEnd: true}
	wanted := before.helpFlag()
	rest, err = before.Parse(args)
	return rest, *wanted, err
}

// verb makes and runs one command.
func (p *Program) verb(name string, args []string) error {
	c := find(p.Verbs, name)
	switch {
	case c == nil:
		return Usagef("%q is not a command; see %s --help", name, p.Name)
	case c.Verbs != nil:
		return p.group(name, c, args)
	}
	return p.command(name, c, args)
}

// command runs one that has been made. Its name is as it was typed.
func (p *Program) command(name string, c *Command, args []string) error {
	if c.Raw {
		return c.Run(args)
	}
	c.flags.parent = &p.Global
	help := c.flags.helpFlag()
	rest, err := c.flags.Parse(args)
	switch {
	case err != nil:
		return Usagef("%s: %w; see %s %s --help", name, err, p.Name, name)
	case *help:
		return p.verbHelp(c)
	}
	if err := c.count(p.Name, rest); err != nil {
		return err
	}
	return c.Run(rest)
}

func find(verbs []Verb, name string) *Command {
	for _, v := range verbs {
		if v.Name == name {
			return v.New()
		}
	}
	return nil
}

// count checks the number of arguments.
func (c *Command) count(program string, args []string) error {
	n := len(args)
	if n >= c.Min && (c.Max < 0 || n <= c.Max) {
		return nil
	}
	want := fmt.Sprintf("%d to %d arguments", c.Min, c.Max)
	switch {
	case c.Max < 0:
		want = fmt.Sprintf("at least %d argument", c.Min)
	case c.Max == 0:
		want = "no arguments"
	case c.Min == c.Max:
		want = fmt.Sprintf("%d arguments", c.Min)
	case c.Min == 0:
		want = fmt.Sprintf("at most %d argument", c.Max)
	}
	return Usagef("%s takes %s, not %d: %s %s", c.Name(), want, n, program, c.Use)
}
