// SPDX-License-Identifier: Apache-2.0

package command

import (
	"regexp"
	"strings"
)

// globRegexp makes a matcher of a file name pattern in which * and ? also
// match a slash, as find and tar take it.
func globRegexp(pattern string, fold bool) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	if fold {
		b.WriteString(`(?i)`)
	}
	for i := 0; i < len(pattern); i++ {
		switch ch := pattern[i]; ch {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		case '[':
			n := bracketLength(pattern[i:])
			text := pattern[i : i+n]
			if strings.HasPrefix(text, "[!") {
				text = "[^" + text[2:]
			}
			b.WriteString(bracket(text))
			i += n - 1
		case '\\':
			if i+1 < len(pattern) {
				i++
			}
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	b.WriteByte('$')
	return regexp.Compile(b.String())
}
