// SPDX-License-Identifier: Apache-2.0

// Package command has the commands of mini: the usual flags of what POSIX and
// busybox call by the same names, one function each.
//
// A command is given everything through its Call and leaves nothing behind, so
// the shell can run one inside itself.
package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// Call is one run of a command.
type Call struct {
	Name string
	Args []string // without the name
	In   io.Reader
	Out  *bufio.Writer // flushed by Run
	Err  io.Writer

	// Descriptor gives the process's number for a descriptor the user means;
	// nil where they are the same.
	Descriptor func(int) int

	status int
}

// Func runs a command and returns its exit status.
type Func func(*Call) int

// Run runs f and flushes what it wrote. A write that fails is a failure of the
// command, as in `echo x >/dev/full`.
func Run(f Func, c *Call) (status int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(c.Err, "%s: internal error: %v\n", c.Name, r)
			status = 125
		}
	}()
	status = f(c)
	if err := c.Out.Flush(); err != nil {
		c.fail("write error", err)
		return max(status, 1)
	}
	return status
}

// errorf writes one line on standard error and makes the status at least 1.
func (c *Call) errorf(format string, args ...any) int {
	c.Out.Flush()
	fmt.Fprintf(c.Err, "%s: %s\n", c.Name, fmt.Sprintf(format, args...))
	c.status = max(c.status, 1)
	return c.status
}

// fail reports err about what.
func (c *Call) fail(what string, err error) int { return c.errorf("%s: %s", what, Reason(err)) }

// usage reports a mistake in the arguments, the first one only; the status is
// 2 where callers tell "no" from "error" by it, and 1 elsewhere.
func (c *Call) usage(format string, args ...any) int {
	if c.status == 0 {
		c.errorf(format, args...)
	}
	switch c.Name {
	case "grep", "egrep", "fgrep", "test", "[", "expr", "sort", "ls":
		return 2
	}
	return 1
}

// Reason is the cause in the words of the C library, which scripts look for.
func Reason(err error) string {
	text := err.Error()
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		text = errno.Error()
	}
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// open is os.Open, with "-" for standard input.
func (c *Call) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(c.In), nil
	}
	return os.Open(name)
}

// eachInput calls f with each file named, or standard input if there are none.
// A directory or a file that cannot be read is reported and passed over.
func (c *Call) eachInput(names []string, f func(name string, r io.Reader) error) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		if err := c.withInput(name, f); err != nil {
			c.fail(name, err)
		}
	}
}

func (c *Call) withInput(name string, f func(string, io.Reader) error) error {
	if name == "-" {
		return f(name, c.In)
	}
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	return f(name, in)
}

// lines calls f with each line of r, without its newline, until f says false.
func lines(r io.Reader, f func(line string) bool) error {
	return records(r, '\n', func(line string, _ bool) bool { return f(line) })
}

// records is lines for any separator; ended tells whether it was there.
func records(r io.Reader, end byte, f func(record string, ended bool) bool) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		text, err := in.ReadString(end)
		if text != "" {
			record, ended := strings.CutSuffix(text, string(end))
			if !f(record, ended) {
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
