// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"strconv"
	"strings"
)

// options are the flags of one call, in the order given.
type options struct {
	given []option
}

type option struct {
	letter byte
	value  string
}

// parse takes the options out of c.Args by getopt's rules: a letter of spec is
// a flag, with ":" after it one with a value; a leading "+" stops at the first
// operand. long has "name=letter" pairs. What is wrong is said on standard
// error, and ok is false.
func (c *Call) parse(spec string, long ...string) (opts options, ok bool) {
	spec, inOrder := strings.CutPrefix(spec, "+")
	var operands []string
	for len(c.Args) > 0 {
		arg := c.Args[0]
		c.Args = c.Args[1:]
		if arg == "--" {
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			operands = append(operands, arg)
			if inOrder {
				break
			}
			continue
		}
		if err := opts.add(c, arg, spec, long); err != nil {
			c.usage("%v", err)
			return opts, false
		}
	}
	c.Args = append(operands, c.Args...)
	return opts, true
}

func (o *options) add(c *Call, arg, spec string, long []string) error {
	if strings.HasPrefix(arg, "--") {
		return o.addLong(c, arg, spec, long)
	}
	for i := 1; i < len(arg); i++ {
		at := strings.IndexByte(spec, arg[i])
		if at < 0 || arg[i] == ':' {
			return fmt.Errorf("invalid option -- '%c'", arg[i])
		}
		if !takesValue(spec, at) {
			o.given = append(o.given, option{letter: arg[i]})
			continue
		}
		return o.addValue(c, arg[i], arg[i+1:], i+1 < len(arg))
	}
	return nil
}

func (o *options) addLong(c *Call, arg, spec string, long []string) error {
	name, value, hasValue := strings.Cut(arg[2:], "=")
	for _, pair := range long {
		full, letter, _ := strings.Cut(pair, "=")
		if full != name {
			continue
		}
		if takesValue(spec, strings.IndexByte(spec, letter[0])) {
			return o.addValue(c, letter[0], value, hasValue)
		}
		o.given = append(o.given, option{letter[0], value})
		return nil
	}
	return fmt.Errorf("unrecognized option '--%s'", name)
}

func (o *options) addValue(c *Call, letter byte, value string, attached bool) error {
	if !attached {
		if len(c.Args) == 0 {
			return fmt.Errorf("option requires an argument -- '%c'", letter)
		}
		value, c.Args = c.Args[0], c.Args[1:]
	}
	o.given = append(o.given, option{letter, value})
	return nil
}

func takesValue(spec string, at int) bool {
	return at >= 0 && at+1 < len(spec) && spec[at+1] == ':'
}

// has tells whether any of the letters was given.
func (o options) has(letters string) bool { return o.last(letters) != 0 }

// last is the one of the letters given last, or 0.
func (o options) last(letters string) byte {
	for i := len(o.given) - 1; i >= 0; i-- {
		if strings.IndexByte(letters, o.given[i].letter) >= 0 {
			return o.given[i].letter
		}
	}
	return 0
}

// value is the last value of the option, or otherwise.
func (o options) value(letter byte, otherwise string) string {
	if all := o.values(letter); len(all) > 0 {
		return all[len(all)-1]
	}
	return otherwise
}

func (o options) values(letter byte) (all []string) {
	for _, g := range o.given {
		if g.letter == letter {
			all = append(all, g.value)
		}
	}
	return all
}

// number is the option's value as a decimal number.
func (o options) number(letter byte, otherwise int) (int, error) {
	text := o.value(letter, "")
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("invalid number '%s'", text)
	}
	return n, nil
}

// multiples are the suffixes of sizes, as dd and head take them.
const multiples = "kmgtpe"

// parseSize reads a size in bytes: 10, 0x10, 4k, 1M, 2GiB, 1kB (1000), 3b (512).
func parseSize(text string) (int64, error) {
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(text)
	}
	n, err := strconv.ParseInt(text[:end], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("invalid number '%s'", text)
	}
	unit, ok := sizeUnit(strings.ToLower(text[end:]))
	if !ok || n > (1<<63-1)/unit {
		return 0, fmt.Errorf("invalid number '%s'", text)
	}
	return n * unit, nil
}

func sizeUnit(suffix string) (int64, bool) {
	switch suffix {
	case "", "c":
		return 1, true
	case "w":
		return 2, true
	case "b":
		return 512, true
	}
	power := strings.IndexByte(multiples, suffix[0]) + 1
	base := int64(1024)
	switch suffix[1:] {
	case "", "ib":
	case "b":
		base = 1000
	default:
		return 0, false
	}
	unit := int64(1)
	for range power {
		unit *= base
	}
	return unit, power > 0
}

// humanSize writes n bytes the way `ls -h` does: rounded up, one digit after
// the point below ten.
func humanSize(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10)
	}
	size, unit := float64(n), -1
	for size >= 1024 && unit < len(multiples)-1 {
		size /= 1024
		unit++
	}
	letter := strings.ToUpper(multiples[unit : unit+1])
	if tenths := ceil(size * 10); tenths < 100 {
		return fmt.Sprintf("%d.%d%s", tenths/10, tenths%10, letter)
	}
	return fmt.Sprintf("%d%s", ceil(size), letter)
}

func ceil(f float64) int64 {
	n := int64(f)
	if float64(n) < f {
		n++
	}
	return n
}
