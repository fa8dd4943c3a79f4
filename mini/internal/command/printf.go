// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unescape replaces the backslash escapes of echo -e and printf. Octal is
// \0nnn in echo and %b, \nnn in a format. stop is true after \c, which ends all
// output.
func unescape(text string, leadingZero bool) (out string, stop bool) {
	if !strings.Contains(text, `\`) {
		return text, false
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		if at := strings.IndexByte(`abefnrtv\"`, text[i]); at >= 0 {
			b.WriteByte("\a\b\x1b\f\n\r\t\v\\\""[at])
			continue
		}
		if text[i] == 'c' {
			return b.String(), true
		}
		i += numericEscape(&b, text[i:], leadingZero) - 1
	}
	return b.String(), false
}

// numericEscape writes what the escape at the start of text stands for and
// returns its length; an unknown one stands for itself.
func numericEscape(b *strings.Builder, text string, leadingZero bool) int {
	switch {
	case text[0] == 'x':
		if digits := prefixOf(text[1:], "0123456789abcdefABCDEF", 2); digits != "" {
			n, _ := strconv.ParseUint(digits, 16, 8)
			b.WriteByte(byte(n))
			return 1 + len(digits)
		}
	case text[0] == 'u' || text[0] == 'U':
		if digits := prefixOf(text[1:], "0123456789abcdefABCDEF", 8); digits != "" {
			n, _ := strconv.ParseUint(digits, 16, 32)
			b.WriteRune(rune(n))
			return 1 + len(digits)
		}
	case text[0] == '0' && leadingZero:
		digits := prefixOf(text[1:], "01234567", 3)
		n, _ := strconv.ParseUint("0"+digits, 8, 16)
		b.WriteByte(byte(n))
		return 1 + len(digits)
	case text[0] >= '0' && text[0] <= '7':
		digits := prefixOf(text, "01234567", 3)
		n, _ := strconv.ParseUint(digits, 8, 16)
		b.WriteByte(byte(n))
		return len(digits)
	}
	b.WriteString(`\` + text[:1])
	return 1
}

func prefixOf(text, letters string, most int) string {
	n := 0
	for n < len(text) && n < most && strings.IndexByte(letters, text[n]) >= 0 {
		n++
	}
	return text[:n]
}

// printf repeats the format until the arguments are used up.
func printf(c *Call) int {
	if len(c.Args) > 0 && c.Args[0] == "--" {
		c.Args = c.Args[1:]
	}
	if len(c.Args) == 0 {
		c.usage("usage: printf FORMAT [ARGUMENT]...")
		return 2
	}
	p := &printer{call: c, format: c.Args[0], args: c.Args[1:]}
	for {
		before := len(p.args)
		if !p.once() || len(p.args) == 0 || len(p.args) == before {
			return c.status
		}
	}
}

type printer struct {
	call   *Call
	format string
	args   []string
}

// once prints the format one time; false says that the output ended at \c or
// at a directive that does not exist.
func (p *printer) once() bool {
	text := p.format
	for text != "" {
		at := strings.IndexByte(text, '%')
		if at < 0 {
			at = len(text)
		}
		plain, stop := unescape(text[:at], false)
		p.call.Out.WriteString(plain)
		if stop {
			return false
		}
		if text = text[at:]; text == "" {
			break
		}
		n, ok := p.directive(text)
		if !ok {
			return false
		}
		text = text[n:]
	}
	return true
}

// directive prints the conversion at the start of text and returns its length.
func (p *printer) directive(text string) (int, bool) {
	n := 1
	flags := prefixOf(text[n:], "-+ 0#", 8)
	n += len(flags)
	spec := "%" + flags
	for _, part := range []string{"", "."} {
		if !strings.HasPrefix(text[n:], part) {
			break
		}
		n += len(part)
		if strings.HasPrefix(text[n:], "*") {
			spec, n = spec+part+strconv.FormatInt(p.integer(), 10), n+1
			continue
		}
		digits := prefixOf(text[n:], "0123456789", 9)
		spec, n = spec+part+digits, n+len(digits)
	}
	n += len(prefixOf(text[n:], "hlLjzt", 2))
	if n >= len(text) {
		p.call.errorf("%s: invalid format", text)
		return 0, false
	}
	return n + 1, p.convert(spec, text[n], text[:n+1])
}

func (p *printer) convert(spec string, verb byte, whole string) bool {
	out := p.call.Out
	switch verb {
	case '%':
		out.WriteByte('%')
	case 's':
		fmt.Fprintf(out, spec+"s", p.next())
	case 'b':
		text, stop := unescape(p.next(), true)
		fmt.Fprintf(out, spec+"s", text)
		return !stop
	case 'q':
		fmt.Fprintf(out, spec+"s", shellQuote(p.next()))
	case 'c':
		arg := p.next()
		fmt.Fprintf(out, spec+"s", arg[:min(1, len(arg))])
	case 'd', 'i':
		fmt.Fprintf(out, spec+"d", p.integer())
	case 'u':
		fmt.Fprintf(out, spec+"d", uint64(p.integer()))
	case 'o', 'x', 'X':
		fmt.Fprintf(out, spec+string(verb), uint64(p.integer()))
	case 'e', 'E', 'f', 'F', 'g', 'G':
		fmt.Fprintf(out, spec+string(verb), p.float())
	default:
		p.call.errorf("%s: invalid directive", whole)
		return false
	}
	return true
}

func (p *printer) next() string {
	if len(p.args) == 0 {
		return ""
	}
	arg := p.args[0]
	p.args = p.args[1:]
	return arg
}

// integer is the next argument as a number: C's forms, or 'c for a character.
func (p *printer) integer() int64 {
	arg := strings.TrimSpace(p.next())
	if arg == "" {
		return 0
	}
	if arg[0] == '\'' || arg[0] == '"' {
		r, _ := utf8.DecodeRuneInString(arg[1:])
		return int64(r)
	}
	n, err := strconv.ParseInt(arg, 0, 64)
	if err == nil {
		return n
	}
	if u, err := strconv.ParseUint(arg, 0, 64); err == nil {
		return int64(u)
	}
	p.call.errorf("invalid number '%s'", arg)
	return n
}

func (p *printer) float() float64 {
	arg := p.next()
	if arg == "" {
		return 0
	}
	f, err := strconv.ParseFloat(arg, 64)
	if err != nil {
		p.call.errorf("invalid number '%s'", arg)
	}
	return f
}

func shellQuote(text string) string {
	if text != "" && strings.IndexFunc(text, needsQuote) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func needsQuote(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%^", r)
}
