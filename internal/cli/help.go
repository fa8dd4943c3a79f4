// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
)

// help lists the verbs.
func (p *Program) help() error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage: %s [OPTIONS] COMMAND\n\nCommands:\n", p.Short, p.Name)
	for _, v := range p.Verbs {
		fmt.Fprintf(&b, "  %-12s%s\n", v.Name, v.New().Short)
	}
	fmt.Fprintf(&b, "  %-12s%s\n", "completion", "Print a completion script for bash, zsh or fish")
	p.Global.describe(&b, "Options")
	fmt.Fprintf(&b, "\n%s COMMAND --help shows more of one.\n", p.Name)
	_, err := p.Out.WriteString(b.String())
	return err
}

func (p *Program) verbHelp(c *Command) error {
	var b strings.Builder
	text := c.Long
	if text == "" {
		text = c.Short
	}
	fmt.Fprintf(&b, "%s\n\nUsage: %s %s\n", text, p.Name, c.Use)
	c.flags.describe(&b, "Options")
	p.Global.describe(&b, "Global options")
	_, err := p.Out.WriteString(b.String())
	return err
}

// describe writes a table of the flags.
func (s *FlagSet) describe(b *strings.Builder, title string) {
	width := 0
	for _, f := range s.flags {
		if !f.hidden {
			width = max(width, len(f.synopsis()))
		}
	}
	for i, f := range s.flags {
		if i == 0 {
			fmt.Fprintf(b, "\n%s:\n", title)
		}
		if !f.hidden {
			fmt.Fprintf(b, "  %-*s   %s\n", width, f.synopsis(), f.usage)
		}
	}
}

func (f *flag) synopsis() string {
	text := "    --" + f.name
	if f.short != "" {
		text = "-" + f.short + ", --" + f.name
	}
	if f.value != "" {
		text += " " + f.value
	}
	return text
}
