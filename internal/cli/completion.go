// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
)

// scripts ask the program itself: it knows the verbs, flags and names.
var scripts = map[string]string{
	"bash": `_%[1]s() {
	local IFS=$'\n'
	COMPREPLY=($(%[1]s __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
	[ ${#COMPREPLY[@]} -gt 0 ] || compopt -o default
}
complete -F _%[1]s %[1]s
`,
	"zsh": `#compdef %[1]s
_%[1]s() {
	local -a found
	found=("${(@f)$(%[1]s __complete "${words[@]:1:$((CURRENT-1))}" 2>/dev/null)}")
	[ -n "$found" ] && compadd -- $found || _files
}
compdef _%[1]s %[1]s
`,
	"fish": `complete -c %[1]s -f -a '(%[1]s __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
}

// completion prints the script of a shell.
func (p *Program) completion(args []string) error {
	if len(args) != 1 || scripts[args[0]] == "" {
		return Usagef("completion takes the name of a shell: %s completion bash, zsh or fish", p.Name)
	}
	_, err := p.Out.WriteString(fmt.Sprintf(scripts[args[0]], p.Name))
	return err
}

// complete prints what the last of words, which may be empty, can become.
func (p *Program) complete(words []string) error {
	if len(words) == 0 {
		words = []string{""}
	}
	before, prefix := words[:len(words)-1], words[len(words)-1]
	var b strings.Builder
	for _, candidate := range p.candidates(before, prefix) {
		if strings.HasPrefix(candidate, prefix) {
			b.WriteString(candidate + "\n")
		}
	}
	_, err := p.Out.WriteString(b.String())
	return err
}

func (p *Program) candidates(before []string, prefix string) []string {
	c, rest, next := p.inGroup(before)
	if c == nil {
		return next
	}
	c.flags.parent = &p.Global
	c.flags.helpFlag()
	args, err := c.flags.Parse(rest)
	switch {
	case err != nil: // the value of a flag is to come
		return nil
	case strings.HasPrefix(prefix, "-"):
		return append(c.flags.names(), p.Global.names()...)
	case c.Complete == nil:
		return nil
	}
	return c.Complete(args)
}

func (s *FlagSet) names() []string {
	var names []string
	for _, f := range s.flags {
		if !f.hidden {
			names = append(names, "--"+f.name)
		}
	}
	return names
}
