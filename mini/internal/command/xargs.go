// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"io"
	"os"
	"strings"
)

type xargsRun struct {
	call    *Call
	command []string
	replace string
	most    int
	trace   bool

	held []string
	size int
	ran  bool
}

// xargs' status is 123 where a command failed, 124 where it exited with 255.
func xargs(c *Call) int {
	opts, ok := c.parse("+0n:I:L:rtd:P:s:xp", "null=0", "max-args=n", "no-run-if-empty=r", "verbose=t", "delimiter=d", "max-procs=P")
	if !ok {
		return 1
	}
	most, err := opts.number('n', 1<<30)
	if err == nil && opts.has("L") {
		most, err = opts.number('L', 1)
	}
	if err != nil || most < 1 {
		return c.usage("invalid number")
	}
	x := &xargsRun{call: c, command: c.Args, replace: opts.value('I', ""), most: most, trace: opts.has("t")}
	if len(x.command) == 0 {
		x.command = []string{"echo"}
	}
	in := c.In
	if null, err := os.Open(os.DevNull); err == nil { // commands must not eat our input
		defer null.Close()
		c.In = null
	}
	err = splitArguments(in, xargsSplit(opts), x.add)
	if err != nil {
		return c.errorf("%s", Reason(err))
	}
	if len(x.held) > 0 || !x.ran && !opts.has("r") && x.replace == "" {
		x.run(x.held)
	}
	return c.status
}

// xargsSplit is the separator of items; 0x100 is blanks, with quotes.
func xargsSplit(opts options) int {
	switch opts.last("0dIL") {
	case '0':
		return 0
	case 'd':
		text, _ := unescape(opts.value('d', "\n"), true)
		return int((text + "\n")[0])
	case 'I', 'L':
		return '\n'
	}
	return 0x100
}

func (x *xargsRun) add(item string) bool {
	if x.replace != "" {
		args := make([]string, len(x.command))
		for i, arg := range x.command {
			args[i] = strings.ReplaceAll(arg, x.replace, strings.TrimLeft(item, " \t"))
		}
		return x.start(args)
	}
	x.held = append(x.held, item)
	x.size += len(item) + 1
	if len(x.held) >= x.most || x.size > batchBytes {
		return x.run(x.held)
	}
	return true
}

func (x *xargsRun) run(items []string) bool {
	x.held, x.size = nil, 0
	return x.start(append(append([]string{}, x.command...), items...))
}

func (x *xargsRun) start(args []string) bool {
	x.ran = true
	if x.trace {
		io.WriteString(x.call.Err, strings.Join(args, " ")+"\n")
	}
	switch status := runProgram(x.call, args); {
	case status == 255:
		x.call.status = 124
		return false
	case status == cannotExecute || status == notFound:
		x.call.status = status
		return false
	case status != 0:
		x.call.status = 123
	}
	return true
}

// splitArguments calls f with each item until it says false. Separated by
// blanks, quotes and backslashes protect as POSIX describes for xargs.
func splitArguments(r io.Reader, separator int, f func(string) bool) error {
	if separator < 0x100 {
		return records(r, byte(separator), func(item string, _ bool) bool {
			return item == "" && separator == '\n' || f(item)
		})
	}
	in := bufio.NewReader(r)
	var item []byte
	begun, quote := false, byte(0)
	for {
		ch, err := in.ReadByte()
		if err == io.EOF {
			if begun {
				f(string(item))
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case quote != 0:
			if ch == quote {
				quote = 0
			} else {
				item = append(item, ch)
			}
		case ch == '\'' || ch == '"':
			quote, begun = ch, true
		case ch == '\\':
			if ch, err = in.ReadByte(); err == nil {
				item, begun = append(item, ch), true
			}
		case ch == ' ' || ch == '\t' || ch == '\n':
			if begun && !f(string(item)) {
				return nil
			}
			item, begun = nil, false
		default:
			item, begun = append(item, ch), true
		}
	}
}
