// SPDX-License-Identifier: Apache-2.0

package oci

import "strings"

// The grammar of references (distribution/reference, reference.go), matched by
// hand: compiling its regular expressions would cost every start of the program
// more than the rest of this package.

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLowerAlnum(c byte) bool { return isLower(c) || isDigit(c) }
func isAlnum(c byte) bool      { return isLowerAlnum(c) || isUpper(c) }

// every tells whether s has at least one byte and all satisfy f.
func every(s string, f func(byte) bool) bool {
	for i := range len(s) {
		if !f(s[i]) {
			return false
		}
	}
	return s != ""
}

// isDomain matches host [ ":" port ], where a host is a name of
// dot-separated components or an IPv6 address in brackets.
func isDomain(s string) bool {
	host, port, hasPort := cutPort(s)
	if hasPort && !every(port, isDigit) {
		return false
	}
	if address, ok := strings.CutPrefix(host, "["); ok {
		address, ok = strings.CutSuffix(address, "]")
		return ok && every(address, func(c byte) bool {
			return c == ':' || isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		})
	}
	for component := range strings.SplitSeq(host, ".") {
		if !isHostComponent(component) {
			return false
		}
	}
	return true
}

func cutPort(s string) (host, port string, found bool) {
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

func isHostComponent(s string) bool {
	return every(s, func(c byte) bool { return c == '-' || isAlnum(c) }) && s[0] != '-' && s[len(s)-1] != '-'
}

// isPathComponent matches runs of lower-case letters and digits with one
// separator between two runs: ".", "_", "__" or any number of "-".
func isPathComponent(s string) bool {
	run := strings.IndexFunc(s, notLowerAlnum)
	if run < 0 {
		return s != ""
	}
	separator := strings.IndexFunc(s[run:], func(c rune) bool { return !notLowerAlnum(c) })
	return run > 0 && separator > 0 && isSeparator(s[run:run+separator]) && isPathComponent(s[run+separator:])
}

func notLowerAlnum(c rune) bool { return c > 127 || !isLowerAlnum(byte(c)) }

func isSeparator(s string) bool {
	return s == "." || s == "_" || s == "__" || strings.Trim(s, "-") == ""
}

func isTag(s string) bool {
	return len(s) <= maxTag && every(s, func(c byte) bool { return isAlnum(c) || c == '_' || c == '.' || c == '-' }) &&
		s[0] != '.' && s[0] != '-'
}
