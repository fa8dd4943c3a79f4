// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// testCommand is test and [: 0 is true, 1 is false, 2 is a mistake.
func testCommand(c *Call) int {
	args := c.Args
	if c.Name == "[" {
		if len(args) == 0 || args[len(args)-1] != "]" {
			return c.usage("missing ]")
		}
		args = args[:len(args)-1]
	}
	t := &tester{args: args, descriptor: c.Descriptor}
	result := len(args) > 0 && t.or()
	if t.err == nil && t.at < len(t.args) {
		t.err = fmt.Errorf("%s: unexpected operator", t.args[t.at])
	}
	if t.err != nil {
		return c.usage("%v", t.err)
	}
	if result {
		return 0
	}
	return 1
}

// tester is a recursive descent over the arguments: or, and, not, primary.
type tester struct {
	args []string
	at   int
	err  error

	descriptor func(int) int
}

func (t *tester) peek(ahead int) string {
	if t.at+ahead < len(t.args) {
		return t.args[t.at+ahead]
	}
	return ""
}

func (t *tester) or() bool {
	result := t.and()
	for t.peek(0) == "-o" {
		t.at++
		right := t.and()
		result = result || right
	}
	return result
}

func (t *tester) and() bool {
	result := t.not()
	for t.peek(0) == "-a" {
		t.at++
		right := t.not()
		result = result && right
	}
	return result
}

func (t *tester) not() bool {
	if t.peek(0) == "!" && len(t.args)-t.at > 1 && !isBinary(t.peek(1)) {
		t.at++
		return !t.not()
	}
	return t.primary()
}

// primary follows POSIX in what the number of arguments decides: three with a
// binary operator in the middle are that, whatever the first one looks like.
func (t *tester) primary() bool {
	left := len(t.args) - t.at
	switch {
	case left == 0:
		t.fail("argument expected")
		return false
	case left >= 3 && isBinary(t.peek(1)):
		t.at += 3
		return t.binary(t.args[t.at-3], t.args[t.at-2], t.args[t.at-1])
	case left >= 2 && isUnary(t.peek(0)):
		t.at += 2
		return t.unary(t.args[t.at-2], t.args[t.at-1])
	case t.peek(0) == "(" && left > 1:
		t.at++
		result := t.or()
		if t.peek(0) != ")" {
			t.fail("closing paren expected")
		}
		t.at++
		return result
	}
	t.at++
	return t.args[t.at-1] != ""
}

func (t *tester) fail(format string, args ...any) {
	if t.err == nil {
		t.err = fmt.Errorf(format, args...)
	}
}

func isBinary(op string) bool {
	switch op {
	case "=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef":
		return true
	}
	return false
}

func isUnary(op string) bool {
	return len(op) == 2 && op[0] == '-' && strings.IndexByte("bcdefghkLnprsStuwxzOG", op[1]) >= 0
}

func (t *tester) binary(left, op, right string) bool {
	switch op {
	case "=", "==":
		return left == right
	case "!=":
		return left != right
	case "<":
		return left < right
	case ">":
		return left > right
	case "-nt", "-ot", "-ef":
		return compareFiles(left, op, right)
	}
	a, b := t.integer(left), t.integer(right)
	switch op {
	case "-eq":
		return a == b
	case "-ne":
		return a != b
	case "-lt":
		return a < b
	case "-le":
		return a <= b
	case "-gt":
		return a > b
	}
	return a >= b
}

func (t *tester) integer(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		t.fail("%s: integer expected", text)
	}
	return n
}

func compareFiles(left, op, right string) bool {
	a, errA := os.Stat(left)
	b, errB := os.Stat(right)
	switch op {
	case "-ef":
		return errA == nil && errB == nil && os.SameFile(a, b)
	case "-ot":
		a, b, errA, errB = b, a, errB, errA
	}
	return errA == nil && (errB != nil || a.ModTime().After(b.ModTime()))
}

func (t *tester) unary(op, arg string) bool {
	switch op[1] {
	case 'n':
		return arg != ""
	case 'z':
		return arg == ""
	case 't':
		return t.isTerminal(int(t.integer(arg)))
	case 'r':
		return unix.Faccessat(unix.AT_FDCWD, arg, unix.R_OK, unix.AT_EACCESS) == nil
	case 'w':
		return unix.Faccessat(unix.AT_FDCWD, arg, unix.W_OK, unix.AT_EACCESS) == nil
	case 'x':
		return unix.Faccessat(unix.AT_FDCWD, arg, unix.X_OK, unix.AT_EACCESS) == nil
	}
	return testFile(op[1], arg)
}

func (t *tester) isTerminal(fd int) bool {
	if t.descriptor != nil {
		fd = t.descriptor(fd)
	}
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

func testFile(op byte, name string) bool {
	var st unix.Stat_t
	if op == 'h' || op == 'L' {
		return unix.Lstat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
	}
	if unix.Stat(name, &st) != nil {
		return false
	}
	kind := st.Mode & unix.S_IFMT
	switch op {
	case 'b':
		return kind == unix.S_IFBLK
	case 'c':
		return kind == unix.S_IFCHR
	case 'd':
		return kind == unix.S_IFDIR
	case 'f':
		return kind == unix.S_IFREG
	case 'p':
		return kind == unix.S_IFIFO
	case 'S':
		return kind == unix.S_IFSOCK
	case 's':
		return st.Size > 0
	case 'g':
		return st.Mode&unix.S_ISGID != 0
	case 'u':
		return st.Mode&unix.S_ISUID != 0
	case 'k':
		return st.Mode&unix.S_ISVTX != 0
	case 'O':
		return int(st.Uid) == os.Geteuid()
	case 'G':
		return int(st.Gid) == os.Getegid()
	}
	return true // -e
}
