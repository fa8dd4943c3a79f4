// SPDX-License-Identifier: Apache-2.0

package command

import (
	"regexp"
	"strings"
)

// compile makes a matcher of a POSIX pattern: basic, or extended. Leftmost
// longest is POSIX's rule; back references in a pattern are not supported.
func compile(pattern string, extended, fold bool) (*regexp.Regexp, error) {
	text := pattern
	if !extended {
		text = fromBasic(pattern)
	} else {
		text = fromExtended(pattern)
	}
	if fold {
		text = "(?i)" + text
	}
	re, err := regexp.Compile(text)
	if err == nil {
		re.Longest()
	}
	return re, err
}

// fromBasic rewrites a basic regular expression in Go's syntax: there groups
// and repetition counts are \( \) \{ \}, and \| \+ \? are GNU's additions.
func fromBasic(pattern string) string {
	var b strings.Builder
	start := true // a * or ^ here is literal, or an anchor
	for i := 0; i < len(pattern); i++ {
		wasStart := start
		start = false
		switch ch := pattern[i]; ch {
		case '\\':
			if i++; i == len(pattern) {
				b.WriteString(`\\`)
				break
			}
			start = pattern[i] == '(' || pattern[i] == '|'
			b.WriteString(basicEscape(pattern[i]))
		case '[':
			n := bracketLength(pattern[i:])
			b.WriteString(bracket(pattern[i : i+n]))
			i += n - 1
		case '*':
			if wasStart {
				b.WriteByte('\\')
			}
			b.WriteByte('*')
		case '^':
			start = wasStart
			writeAnchor(&b, ch, wasStart)
		case '$':
			rest := pattern[i+1:]
			writeAnchor(&b, ch, rest == "" || strings.HasPrefix(rest, `\)`) || strings.HasPrefix(rest, `\|`))
		case '+', '?', '(', ')', '{', '}', '|':
			b.WriteString(`\` + string(ch))
		default:
			b.WriteByte(ch)
		}
	}
	return b.String()
}

func writeAnchor(b *strings.Builder, ch byte, anchor bool) {
	if !anchor {
		b.WriteByte('\\')
	}
	b.WriteByte(ch)
}

func basicEscape(ch byte) string {
	switch ch {
	case '(', ')', '{', '}', '|', '+', '?':
		return string(ch)
	}
	return gnuEscape(ch)
}

// gnuEscape is what a backslash means in both syntaxes.
func gnuEscape(ch byte) string {
	switch ch {
	case '<', '>', 'b':
		return `\b`
	case 'w', 'W', 's', 'S', 'B', 'd', 'D', 'n', 't':
		return `\` + string(ch)
	case '`':
		return `\A`
	case '\'':
		return `\z`
	}
	return regexp.QuoteMeta(string(ch))
}

// fromExtended differs from Go's syntax in the escapes and in brackets only.
func fromExtended(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			b.WriteString(gnuEscape(pattern[i]))
		case pattern[i] == '[':
			n := bracketLength(pattern[i:])
			b.WriteString(bracket(pattern[i : i+n]))
			i += n - 1
		case pattern[i] == '(' && strings.HasPrefix(pattern[i:], "(?"):
			b.WriteString(`(\?`)
			i++
		default:
			b.WriteByte(pattern[i])
		}
	}
	return b.String()
}

// bracketLength is the length of the bracket expression text starts with. A ]
// that comes first, and what is in [: :], does not end it.
func bracketLength(text string) int {
	i := 1
	if i < len(text) && text[i] == '^' {
		i++
	}
	if i < len(text) && text[i] == ']' {
		i++
	}
	for i < len(text) && text[i] != ']' {
		if strings.HasPrefix(text[i:], "[:") {
			if end := strings.Index(text[i:], ":]"); end > 0 {
				i += end + 1
			}
		}
		i++
	}
	return min(i+1, len(text))
}

// bracket rewrites a bracket expression: in POSIX a backslash in it is just a
// backslash, and "[" needs no escape.
func bracket(text string) string {
	if len(text) < 3 || text[len(text)-1] != ']' {
		return regexp.QuoteMeta(text)
	}
	var b strings.Builder
	b.WriteByte('[')
	inside := text[1 : len(text)-1]
	if inside[0] == '^' {
		b.WriteByte('^')
		inside = inside[1:]
	}
	for i := 0; i < len(inside); i++ {
		if end := strings.Index(inside[i:], ":]"); strings.HasPrefix(inside[i:], "[:") && end > 0 {
			b.WriteString(inside[i : i+end+2])
			i += end + 1
			continue
		}
		if inside[i] == '\\' && i+1 < len(inside) && strings.IndexByte("nt]\\", inside[i+1]) >= 0 {
			b.WriteString(inside[i : i+2])
			i++
			continue
		}
		if strings.IndexByte(`\[]^&~`, inside[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(inside[i])
	}
	b.WriteByte(']')
	return b.String()
}
