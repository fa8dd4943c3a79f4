// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

type grepper struct {
	call          *Call
	opts          options
	patterns      []*regexp.Regexp
	titles        bool
	before, after int
	most          int
	found         bool
}

// grep's status is 0 where a line was selected, 1 where none was, 2 for an
// error.
func grep(c *Call) int {
	opts, ok := c.parse("EFGPe:f:ivwxcloLqsnhHrRam:A:B:C:", "extended-regexp=E", "fixed-strings=F", "ignore-case=i",
		"invert-match=v", "quiet=q", "count=c", "line-number=n", "recursive=r", "only-matching=o", "word-regexp=w", "regexp=e", "color=s")
	if !ok {
		return 2
	}
	g := &grepper{call: c, opts: opts}
	if err := g.compile(); err != nil {
		return c.usage("%v", err)
	}
	if err := g.numbers(); err != nil {
		return c.usage("%v", err)
	}
	if opts.has("rR") && len(c.Args) == 0 {
		c.Args = []string{"."}
	}
	g.titles = !opts.has("h") && (len(c.Args) > 1 || opts.has("HrR"))
	if opts.has("rR") {
		for _, root := range c.Args {
			g.walk(root)
		}
	} else {
		c.eachInput(c.Args, g.file)
	}
	switch {
	case g.found && (opts.has("q") || c.status == 0):
		return 0
	case c.status != 0:
		return 2
	}
	return 1
}

func (g *grepper) numbers() (err error) {
	around, err := g.opts.number('C', 0)
	if err == nil {
		g.before, err = g.opts.number('B', around)
	}
	if err == nil {
		g.after, err = g.opts.number('A', around)
	}
	if err == nil {
		g.most, err = g.opts.number('m', -1)
	}
	return err
}

func (g *grepper) compile() error {
	sources := g.opts.values('e')
	for _, name := range g.opts.values('f') {
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("%s: %s", name, Reason(err))
		}
		sources = append(sources, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
	}
	if !g.opts.has("ef") {
		if len(g.call.Args) == 0 {
			return errors.New("usage: grep [OPTION]... PATTERN [FILE]")
		}
		sources, g.call.Args = strings.Split(g.call.Args[0], "\n"), g.call.Args[1:]
	}
	kind := g.opts.last("EFGP")
	for _, source := range sources {
		re, err := g.compileOne(source, kind)
		if err != nil {
			return fmt.Errorf("%s: invalid pattern", source)
		}
		g.patterns = append(g.patterns, re)
	}
	return nil
}

func (g *grepper) compileOne(source string, kind byte) (*regexp.Regexp, error) {
	switch {
	case kind == 'F' || kind == 0 && g.call.Name == "fgrep":
		source = regexp.QuoteMeta(source)
	case kind == 'E' || kind == 0 && g.call.Name == "egrep":
		source = fromExtended(source)
	case kind != 'P':
		source = fromBasic(source)
	}
	if g.opts.has("w") {
		source = `\b(?:` + source + `)\b`
	}
	if g.opts.has("x") {
		source = "^(?:" + source + ")$"
	}
	if g.opts.has("i") {
		source = "(?i)" + source
	}
	re, err := regexp.Compile(source)
	if err == nil {
		re.Longest()
	}
	return re, err
}

func (g *grepper) walk(root string) {
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() && name != root {
			if err != nil && !g.opts.has("s") {
				g.call.fail(name, err)
			}
			return nil
		}
		g.call.eachInput([]string{name}, g.file)
		return nil
	})
	if err != nil {
		g.call.fail(root, err)
	}
}

func (g *grepper) selects(line string) bool {
	for _, re := range g.patterns {
		if re.MatchString(line) {
			return !g.opts.has("v")
		}
	}
	return g.opts.has("v")
}

func (g *grepper) file(name string, r io.Reader) error {
	if name == "-" {
		name = "(standard input)"
	}
	number, count, trailing := 0, 0, 0
	last := 0 // the last line printed
	var held []string
	quiet := g.opts.has("qlLc")
	err := lines(r, func(line string) bool {
		number++
		hit := g.most != 0 && g.selects(line)
		switch {
		case hit:
			count++
			g.found = true
			trailing = g.after
			if quiet {
				break
			}
			if (g.before > 0 || g.after > 0) && last > 0 && number-len(held) > last+1 {
				fmt.Fprintln(g.call.Out, "--")
			}
			for i, earlier := range held {
				g.print(name, number-len(held)+i, earlier, '-')
			}
			g.print(name, number, line, ':')
			held, last = nil, number
		case trailing > 0 && !quiet:
			trailing--
			g.print(name, number, line, '-')
			last = number
		case g.before > 0:
			if held = append(held, line); len(held) > g.before {
				held = held[1:]
			}
		}
		return !(hit && g.opts.has("qlL")) && !(g.most > 0 && count >= g.most && trailing == 0)
	})
	g.summary(name, count)
	return err
}

func (g *grepper) summary(name string, count int) {
	switch {
	case g.opts.has("q"):
	case g.opts.has("l") && count > 0, g.opts.has("L") && count == 0:
		fmt.Fprintln(g.call.Out, name)
	case g.opts.has("c") && !g.opts.has("lL"):
		if g.titles {
			fmt.Fprintf(g.call.Out, "%s:", name)
		}
		fmt.Fprintln(g.call.Out, count)
	}
}

func (g *grepper) print(name string, number int, line string, mark byte) {
	prefix := ""
	if g.titles {
		prefix = name + string(mark)
	}
	if g.opts.has("n") {
		prefix += fmt.Sprintf("%d%c", number, mark)
	}
	if !g.opts.has("o") {
		fmt.Fprintf(g.call.Out, "%s%s\n", prefix, line)
		return
	}
	for _, re := range g.patterns {
		for _, match := range re.FindAllString(line, -1) {
			if match != "" {
				fmt.Fprintf(g.call.Out, "%s%s\n", prefix, match)
			}
		}
	}
}
