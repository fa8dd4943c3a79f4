// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// splitWords cuts a line at white space that is neither quoted nor escaped, and
// leaves quotes and escapes in the words for expand (buildkit,
// frontend/dockerfile/parser/line_parsers.go, parseWords).
func splitWords(line string) (words []string) {
	var word strings.Builder
	var quote rune
	escaped := false
	for _, c := range line {
		switch {
		case escaped:
			escaped = false
		case c == '\\' && quote != '\'':
			escaped = true
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case unicode.IsSpace(c):
			if word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			continue
		}
		word.WriteRune(c)
	}
	if word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}

// expand removes quotes and escapes from s and replaces variables by their
// values in env, as a shell does with a word; it does not split.
func expand(s string, env []string) (string, error) {
	e := expansion{rest: s, env: env}
	out, err := e.until(0)
	if err != nil {
		return "", fmt.Errorf("%q: %w", s, err)
	}
	return out, nil
}

// expansion is the part of a word that is still to be read.
type expansion struct {
	rest string
	env  []string
}

var (
	errQuote = errors.New("a quote is not closed")
	errBrace = errors.New("a \"${\" is not closed")
	errName  = errors.New("bad substitution")
)

// next takes one byte. All that is special is ASCII, so the bytes of other
// characters pass through one by one; 0 is the end.
func (e *expansion) next() (c byte) {
	if e.rest != "" {
		c, e.rest = e.rest[0], e.rest[1:]
	}
	return c
}

// until reads up to and over the byte stop, outside quotes; 0 is the end.
func (e *expansion) until(stop byte) (string, error) {
	var out strings.Builder
	for e.rest != "" {
		var part string
		var err error
		switch c := e.next(); {
		case c == stop:
			return out.String(), nil
		case c == '\'':
			part, err = e.singleQuoted()
		case c == '"':
			part, err = e.doubleQuoted()
		case c == '$':
			part, err = e.variable()
		case c == '\\':
			if e.rest != "" {
				part = string([]byte{e.next()})
			}
		default:
			part = string([]byte{c})
		}
		if err != nil {
			return "", err
		}
		out.WriteString(part)
	}
	if stop != 0 {
		return "", errBrace
	}
	return out.String(), nil
}

func (e *expansion) singleQuoted() (string, error) {
	text, rest, found := strings.Cut(e.rest, "'")
	if !found {
		return "", errQuote
	}
	e.rest = rest
	return text, nil
}

// doubleQuoted: a backslash escapes only '"', '$' and itself (sh(1)).
func (e *expansion) doubleQuoted() (string, error) {
	var out strings.Builder
	for e.rest != "" {
		switch c := e.next(); {
		case c == '"':
			return out.String(), nil
		case c == '$':
			value, err := e.variable()
			if err != nil {
				return "", err
			}
			out.WriteString(value)
		case c == '\\' && e.rest != "" && strings.IndexByte(`"$\`, e.rest[0]) >= 0:
			out.WriteByte(e.next())
		default:
			out.WriteByte(c)
		}
	}
	return "", errQuote
}

// variable reads what follows a '$': NAME, {NAME} or {NAME:-word} and its kin.
func (e *expansion) variable() (string, error) {
	if !strings.HasPrefix(e.rest, "{") {
		name := e.name()
		if name == "" {
			return "$", nil
		}
		value, _ := lookup(e.env, name)
		return value, nil
	}
	e.next()
	name := e.name()
	if name == "" {
		return "", errName
	}
	modifier := e.next()
	value, set := lookup(e.env, name)
	if modifier == ':' { // an empty value counts as none
		set = set && value != ""
		modifier = e.next()
	} else if modifier == '}' {
		return value, nil
	}
	return e.substitute(name, value, set, modifier)
}

func (e *expansion) substitute(name, value string, set bool, modifier byte) (string, error) {
	if modifier == 0 {
		return "", errBrace
	}
	if strings.IndexByte("-+?", modifier) < 0 {
		return "", fmt.Errorf("%w: the modifier %q is not supported", errName, modifier)
	}
	word, err := e.until('}')
	switch {
	case err != nil:
		return "", err
	case modifier == '?' && !set:
		return "", fmt.Errorf("variable %s: %s", name, word)
	case modifier == '-' && !set, modifier == '+' && set:
		return word, nil
	case modifier == '+':
		return "", nil
	}
	return value, nil
}

// name takes a variable's name, a number, or one of the shell's special
// parameters, which are never set here.
func (e *expansion) name() string {
	n := 0
	for n < len(e.rest) && (e.rest[n] == '_' || isAlnum(e.rest[n])) {
		n++
	}
	if n == 0 && e.rest != "" && strings.IndexByte("@*#?-$!", e.rest[0]) >= 0 {
		n = 1
	}
	if n > 0 && isDigit(e.rest[0]) {
		n = len(e.rest) - len(strings.TrimLeft(e.rest, "0123456789"))
	}
	name := e.rest[:n]
	e.rest = e.rest[n:]
	return name
}

func lookup(env []string, name string) (string, bool) {
	for _, s := range env {
		if value, ok := strings.CutPrefix(s, name+"="); ok {
			return value, true
		}
	}
	return "", false
}
