// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

type sedAddress struct {
	line, step int
	end        bool
	offset     bool // +N, of a range
	pattern    *regexp.Regexp
}

type sedCommand struct {
	first, last *sedAddress
	not         bool
	verb        byte
	text        string // of a, i, c; a file's name; a label
	number      int    // which match s replaces; q's status
	flags       string
	pattern     *regexp.Regexp
	replacement string
	replacer    *strings.Replacer
	target      int // where { and b lead
}

// replace writes the replacement for match m of text: \1 to \9, & and escapes.
func (cmd *sedCommand) replace(b *strings.Builder, text string, m []int) {
	r := cmd.replacement
	for i := 0; i < len(r); i++ {
		switch {
		case r[i] == '&':
			b.WriteString(text[m[0]:m[1]])
		case r[i] == '\\' && i+1 < len(r):
			i++
			if n := int(r[i] - '0'); r[i] >= '0' && r[i] <= '9' {
				if 2*n+1 < len(m) && m[2*n] >= 0 {
					b.WriteString(text[m[2*n]:m[2*n+1]])
				}
				continue
			}
			if at := strings.IndexByte("nt", r[i]); at >= 0 {
				b.WriteByte("\n\t"[at])
				continue
			}
			b.WriteByte(r[i])
		default:
			b.WriteByte(r[i])
		}
	}
}

type sedParser struct {
	text     string
	extended bool
	last     *regexp.Regexp // what an empty pattern means
}

func parseSed(text string, extended bool) ([]*sedCommand, error) {
	p := &sedParser{text: text, extended: extended}
	var program []*sedCommand
	for {
		p.text = strings.TrimLeft(p.text, " \t\n;")
		if p.text == "" {
			return program, resolveSed(program)
		}
		if p.text[0] == '#' {
			p.line()
			continue
		}
		cmd, err := p.command()
		if err != nil {
			return nil, err
		}
		program = append(program, cmd)
	}
}

// resolveSed sets where blocks end and labels are.
func resolveSed(program []*sedCommand) error {
	labels := map[string]int{"": len(program)}
	var open []int
	for i, cmd := range program {
		switch cmd.verb {
		case ':':
			labels[cmd.text] = i
		case '{':
			open = append(open, i)
		case '}':
			if len(open) == 0 {
				return errors.New("unexpected '}'")
			}
			program[open[len(open)-1]].target = i + 1
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return errors.New("unmatched '{'")
	}
	for _, cmd := range program {
		if strings.IndexByte("btT", cmd.verb) >= 0 {
			target, ok := labels[cmd.text]
			if !ok {
				return fmt.Errorf("can't find label for jump to '%s'", cmd.text)
			}
			cmd.target = target
		}
	}
	return nil
}

// line takes the rest of the line; word, up to a space or semicolon.
func (p *sedParser) line() string {
	line, rest, _ := strings.Cut(p.text, "\n")
	p.text = rest
	return line
}

func (p *sedParser) word() string {
	p.text = strings.TrimLeft(p.text, " \t")
	end := strings.IndexAny(p.text, " \t\n;}")
	if end < 0 {
		end = len(p.text)
	}
	word := p.text[:end]
	p.text = p.text[end:]
	return word
}

func (p *sedParser) command() (cmd *sedCommand, err error) {
	cmd = &sedCommand{}
	if cmd.first, err = p.address(); err != nil {
		return nil, err
	}
	p.text = strings.TrimLeft(p.text, " \t")
	if cmd.first != nil && strings.HasPrefix(p.text, ",") {
		p.text = strings.TrimLeft(p.text[1:], " \t")
		if cmd.last, err = p.address(); err != nil || cmd.last == nil {
			return nil, errors.Join(err, errors.New("unexpected ','"))
		}
	}
	p.text = strings.TrimLeft(p.text, " \t")
	for strings.HasPrefix(p.text, "!") {
		cmd.not = true
		p.text = strings.TrimLeft(p.text[1:], " \t")
	}
	if p.text == "" {
		return nil, errors.New("missing command")
	}
	cmd.verb, p.text = p.text[0], p.text[1:]
	return cmd, p.operands(cmd)
}

func (p *sedParser) operands(cmd *sedCommand) (err error) {
	switch cmd.verb {
	case '{', '}', 'd', 'D', 'g', 'G', 'h', 'H', 'l', 'n', 'N', 'p', 'P', 'x', '=':
	case 'a', 'i', 'c':
		cmd.text = p.insertion()
	case ':', 'b', 't', 'T':
		cmd.text = p.word()
	case 'r', 'w':
		cmd.text = strings.TrimLeft(p.line(), " \t")
	case 'q', 'Q':
		if word := p.word(); word != "" {
			cmd.number, err = strconv.Atoi(word)
		}
	case 's':
		err = p.substitution(cmd)
	case 'y':
		err = p.transliteration(cmd)
	default:
		err = fmt.Errorf("unknown command: '%c'", cmd.verb)
	}
	return err
}

// insertion is the text of a, i and c: `a\` and lines, or on the same line.
func (p *sedParser) insertion() string {
	p.text = strings.TrimLeft(p.text, " \t")
	if rest, ok := strings.CutPrefix(p.text, "\\\n"); ok {
		p.text = rest
	} else if rest, ok := strings.CutPrefix(p.text, "\\"); ok {
		p.text = rest
	}
	text := p.line()
	for strings.HasSuffix(text, `\`) && p.text != "" {
		text = text[:len(text)-1] + "\n" + p.line()
	}
	return text
}

func (p *sedParser) address() (*sedAddress, error) {
	switch {
	case p.text == "":
		return nil, nil
	case p.text[0] == '$':
		p.text = p.text[1:]
		return &sedAddress{end: true}, nil
	case p.text[0] == '/' || p.text[0] == '\\' && len(p.text) > 1:
		if p.text[0] == '\\' {
			p.text = p.text[1:]
		}
		source, err := p.delimited(p.text[0], 1)
		if err != nil {
			return nil, err
		}
		fold := strings.HasPrefix(p.text, "I")
		p.text = strings.TrimPrefix(p.text, "I")
		re, err := p.compile(source, fold)
		return &sedAddress{pattern: re}, err
	}
	offset := strings.HasPrefix(p.text, "+")
	digits := prefixOf(strings.TrimPrefix(p.text, "+"), "0123456789", 9)
	if digits == "" {
		return nil, nil
	}
	p.text = strings.TrimPrefix(p.text, "+")[len(digits):]
	line, _ := strconv.Atoi(digits)
	a := &sedAddress{line: line, offset: offset}
	if rest, ok := strings.CutPrefix(p.text, "~"); ok {
		digits = prefixOf(rest, "0123456789", 9)
		a.step, _ = strconv.Atoi(digits)
		p.text = rest[len(digits):]
	}
	return a, nil
}

// delimited takes what is between delimiters, from position from; an escaped
// delimiter is the character itself.
func (p *sedParser) delimited(mark byte, from int) (string, error) {
	var b strings.Builder
	for i := from; i < len(p.text); i++ {
		switch ch := p.text[i]; {
		case ch == '\\' && i+1 < len(p.text):
			i++
			if p.text[i] != mark || strings.IndexByte("&.*[]^$+?(){}|", mark) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(p.text[i])
		case ch == '[' && mark != '[':
			n := bracketLength(p.text[i:])
			if i+n >= len(p.text) || strings.Contains(p.text[i:i+n], "\n") {
				n = 1
			}
			b.WriteString(p.text[i : i+n])
			i += n - 1
		case ch == mark:
			p.text = p.text[i+1:]
			return b.String(), nil
		default:
			b.WriteByte(ch)
		}
	}
	return "", errors.New("unterminated expression")
}

func (p *sedParser) compile(source string, fold bool) (*regexp.Regexp, error) {
	if source == "" {
		if p.last == nil {
			return nil, errors.New("no previous regular expression")
		}
		return p.last, nil
	}
	re, err := compile(source, p.extended, fold)
	if err != nil {
		return nil, fmt.Errorf("invalid pattern '%s'", source)
	}
	p.last = re
	return re, nil
}

func (p *sedParser) substitution(cmd *sedCommand) error {
	if p.text == "" {
		return errors.New("unterminated 's' command")
	}
	mark := p.text[0]
	source, err := p.delimited(mark, 1)
	if err != nil {
		return err
	}
	if cmd.replacement, err = p.replacementText(mark); err != nil {
		return err
	}
	cmd.flags = prefixOf(p.text, "gpiIeM0123456789", 12)
	p.text = p.text[len(cmd.flags):]
	cmd.number, _ = strconv.Atoi(strings.Trim(cmd.flags, "gpiIeM"))
	if rest, ok := strings.CutPrefix(p.text, "w"); ok {
		p.text = rest
		cmd.text = strings.TrimLeft(p.line(), " \t")
	}
	if p.text != "" && strings.IndexByte(" \t\n;}#", p.text[0]) < 0 {
		return errors.New("unknown option to 's'")
	}
	cmd.pattern, err = p.compile(source, strings.ContainsAny(cmd.flags, "iI"))
	return err
}

// replacementText is like delimited, where brackets mean nothing.
func (p *sedParser) replacementText(mark byte) (string, error) {
	for i := 0; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case mark:
			text := p.text[:i]
			p.text = p.text[i+1:]
			if mark != '&' {
				text = strings.ReplaceAll(text, `\`+string(mark), string(mark))
			}
			return text, nil
		}
	}
	return "", errors.New("unterminated 's' command")
}

func (p *sedParser) transliteration(cmd *sedCommand) error {
	if p.text == "" {
		return errors.New("unterminated 'y' command")
	}
	mark := p.text[0]
	from, err := p.delimited(mark, 1)
	if err != nil {
		return err
	}
	to, err := p.delimited(mark, 0)
	if err != nil {
		return err
	}
	a, b := []rune(from), []rune(to)
	if len(a) != len(b) {
		return errors.New("strings for 'y' command are different lengths")
	}
	var pairs []string
	for i := range a {
		pairs = append(pairs, string(a[i]), string(b[i]))
	}
	cmd.replacer = strings.NewReplacer(pairs...)
	return nil
}
