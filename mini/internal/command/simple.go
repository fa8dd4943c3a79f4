// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

func trueCommand(*Call) int { return 0 }

func falseCommand(*Call) int { return 1 }

// echo knows -n, -e and -E, as busybox does.
func echo(c *Call) int {
	newline, escapes := true, false
	args := c.Args
	for len(args) > 0 && isEchoFlag(args[0]) {
		for _, letter := range args[0][1:] {
			switch letter {
			case 'n':
				newline = false
			case 'e':
				escapes = true
			case 'E':
				escapes = false
			}
		}
		args = args[1:]
	}
	text := strings.Join(args, " ")
	if escapes {
		var stop bool
		if text, stop = unescape(text, true); stop {
			newline = false
		}
	}
	c.Out.WriteString(text)
	if newline {
		c.Out.WriteByte('\n')
	}
	return 0
}

func isEchoFlag(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && strings.Trim(arg[1:], "neE") == ""
}

func basename(c *Call) int {
	opts, ok := c.parse("+as:z", "multiple=a", "suffix=s", "zero=z")
	if !ok {
		return 1
	}
	if len(c.Args) == 0 {
		return c.usage("missing operand")
	}
	names, suffix := c.Args, opts.value('s', "")
	if !opts.has("as") {
		if len(names) > 2 {
			return c.usage("extra operand '%s'", names[2])
		}
		if len(names) == 2 {
			suffix = names[1]
		}
		names = names[:1]
	}
	end := "\n"
	if opts.has("z") {
		end = "\x00"
	}
	for _, name := range names {
		base := path.Base(name)
		if base != suffix {
			base = strings.TrimSuffix(base, suffix)
		}
		c.Out.WriteString(base + end)
	}
	return 0
}

func dirname(c *Call) int {
	if _, ok := c.parse("z"); !ok {
		return 1
	}
	if len(c.Args) == 0 {
		return c.usage("missing operand")
	}
	for _, name := range c.Args {
		name = strings.TrimRight(name, "/")
		if name == "" {
			name = "/"
		}
		fmt.Fprintln(c.Out, path.Dir(name))
	}
	return 0
}

func pwd(c *Call) int {
	opts, ok := c.parse("LP")
	if !ok {
		return 1
	}
	dir, err := os.Getwd() // prefers $PWD where that is the same directory
	if err == nil && !opts.has("L") {
		dir, err = os.Readlink("/proc/self/cwd")
		if os.IsNotExist(err) {
			dir, err = os.Getwd()
		}
	}
	if err != nil {
		return c.fail("cannot tell the current directory", err)
	}
	fmt.Fprintln(c.Out, dir)
	return 0
}

// sleep takes fractions, the suffixes s, m, h and d, and "infinity".
func sleep(c *Call) int {
	if len(c.Args) == 0 {
		return c.usage("missing operand")
	}
	var total float64
	for _, arg := range c.Args {
		seconds, err := parseSeconds(arg)
		if err != nil {
			return c.usage("%v", err)
		}
		total += seconds
	}
	for total > 0 {
		part := min(total, 1e9) // time.Duration ends at 292 years
		time.Sleep(time.Duration(part * float64(time.Second)))
		total -= part
	}
	return 0
}

func parseSeconds(text string) (float64, error) {
	number, unit := text, 1.0
	if text != "" {
		switch text[len(text)-1] {
		case 's':
			number = text[:len(text)-1]
		case 'm':
			number, unit = text[:len(text)-1], 60
		case 'h':
			number, unit = text[:len(text)-1], 3600
		case 'd':
			number, unit = text[:len(text)-1], 86400
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f < 0 || math.IsNaN(f) {
		return 0, fmt.Errorf("invalid time interval '%s'", text)
	}
	return f * unit, nil
}

func yes(c *Call) int {
	line := "y"
	if len(c.Args) > 0 {
		line = strings.Join(c.Args, " ")
	}
	for {
		if _, err := c.Out.WriteString(line + "\n"); err != nil {
			return 1
		}
	}
}

func seq(c *Call) int {
	opts, ok := (&options{}), true
	separator, width := "\n", false
	for ok && len(c.Args) > 0 && (c.Args[0] == "-w" || strings.HasPrefix(c.Args[0], "-s")) {
		if c.Args[0] == "-w" {
			width, c.Args = true, c.Args[1:]
			continue
		}
		rest := &Call{Name: c.Name, Args: c.Args, Out: c.Out, Err: c.Err}
		*opts, ok = rest.parse("+s:")
		separator, c.Args = opts.value('s', "\n"), rest.Args
	}
	if !ok || len(c.Args) == 0 || len(c.Args) > 3 {
		return c.usage("usage: seq [-w] [-s SEP] [FIRST [STEP]] LAST")
	}
	first, step, digits, err := seqNumbers(c.Args)
	if err != nil {
		return c.usage("%v", err)
	}
	return seqPrint(c, first, step[0], step[1], digits, separator, width)
}

// seqNumbers gives first, {step, last} and the digits after the point.
func seqNumbers(args []string) (first float64, step [2]float64, digits int, err error) {
	numbers := make([]float64, len(args))
	for i, arg := range args {
		if numbers[i], err = strconv.ParseFloat(arg, 64); err != nil {
			return 0, step, 0, fmt.Errorf("invalid number '%s'", arg)
		}
		if _, fraction, ok := strings.Cut(arg, "."); ok && i < max(1, len(args)-1) {
			digits = max(digits, len(fraction))
		}
	}
	first, step = 1, [2]float64{1, numbers[len(numbers)-1]}
	if len(numbers) > 1 {
		first = numbers[0]
	}
	if len(numbers) == 3 {
		step[0] = numbers[1]
	}
	if step[0] == 0 {
		return 0, step, 0, fmt.Errorf("the step must not be zero")
	}
	return first, step, digits, nil
}

func seqPrint(c *Call, first, step, last float64, digits int, separator string, width bool) int {
	count := int64(math.Floor((last-first)/step+1e-9)) + 1
	columns := 0
	if width {
		columns = max(len(seqFormat(first, digits, 0)), len(seqFormat(first+step*float64(count-1), digits, 0)))
	}
	for i := range max(count, 0) {
		if i > 0 {
			c.Out.WriteString(separator)
		}
		if _, err := c.Out.WriteString(seqFormat(first+step*float64(i), digits, columns)); err != nil {
			return 1
		}
	}
	if count > 0 {
		c.Out.WriteByte('\n')
	}
	return 0
}

func seqFormat(f float64, digits, width int) string {
	return fmt.Sprintf("%0*.*f", width, digits, f)
}

func clearScreen(c *Call) int {
	c.Out.WriteString("\x1b[H\x1b[J")
	return 0
}
