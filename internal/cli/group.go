// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
)

// group carries out a command line whose first word names a group.
func (p *Program) group(name string, c *Command, args []string) error {
	rest, help, err := p.global(args)
	switch {
	case err != nil:
		return Usagef("%s: %w; see %s %s --help", name, err, p.Name, name)
	case help || len(rest) == 0:
		return p.groupHelp(name, c)
	}
	sub := find(c.Verbs, rest[0])
	if sub == nil {
		return Usagef("%q is not a command of %s; see %s %s --help", rest[0], name, p.Name, name)
	}
	return p.command(name+" "+rest[0], sub, rest[1:])
}

func (p *Program) groupHelp(name string, c *Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage: %s %s\n\nCommands:\n", c.Short, p.Name, c.Use)
	for _, v := range c.Verbs {
		fmt.Fprintf(&b, "  %-12s%s\n", v.Name, v.New().Short)
	}
	fmt.Fprintf(&b, "\n%s %s COMMAND --help shows more of one.\n", p.Name, name)
	_, err := p.Out.WriteString(b.String())
	return err
}

// inGroup finds the command that words name, and what follows its name; without
// one, what the next word may be.
func (p *Program) inGroup(words []string) (c *Command, rest, next []string) {
	verbs, next := p.Verbs, []string{"completion", "help"}
	for {
		rest, _, err := p.global(words)
		if err != nil {
			return nil, nil, nil
		}
		if len(rest) == 0 {
			for _, v := range verbs {
				next = append(next, v.Name)
			}
			return nil, nil, append(next, p.Global.names()...)
		}
		c, words = find(verbs, rest[0]), rest[1:]
		if c == nil || c.Verbs == nil {
			return c, words, nil
		}
		verbs, next = c.Verbs, nil
	}
}
