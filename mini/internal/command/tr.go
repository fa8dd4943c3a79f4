// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

func tr(c *Call) int {
	opts, ok := c.parse("+cCdst", "complement=c", "delete=d", "squeeze-repeats=s")
	if !ok || len(c.Args) == 0 {
		return c.usage("usage: tr [-cds] SET1 [SET2]")
	}
	from, err := expandSet(c.Args[0])
	if err != nil {
		return c.usage("%v", err)
	}
	if opts.has("cC") {
		from = complement(from)
	}
	var to []byte
	if len(c.Args) > 1 {
		if to, err = expandSet(c.Args[1]); err != nil {
			return c.usage("%v", err)
		}
	}
	if !opts.has("ds") && len(to) == 0 {
		return c.usage("missing operand after '%s'", c.Args[0])
	}
	t := newTranslation(from, to, opts)
	buf := make([]byte, 64<<10)
	for {
		n, err := c.In.Read(buf)
		if _, err := c.Out.Write(t.apply(buf[:n])); err != nil {
			return 1
		}
		if err == nil {
			err = c.Out.Flush()
		}
		if err == io.EOF {
			return c.status
		}
		if err != nil {
			return c.fail("read error", err)
		}
	}
}

// translation is what tr does to each byte.
type translation struct {
	table           [256]byte
	remove, squeeze [256]bool
	last            int
}

func newTranslation(from, to []byte, opts options) *translation {
	t := &translation{last: -1}
	for i := range t.table {
		t.table[i] = byte(i)
	}
	squeeze := to
	if len(to) == 0 {
		squeeze = from
	}
	for i, ch := range from {
		switch {
		case opts.has("d"):
			t.remove[ch] = true
		case len(to) > 0:
			t.table[ch] = to[min(i, len(to)-1)]
		}
	}
	if opts.has("s") {
		for _, ch := range squeeze {
			t.squeeze[ch] = true
		}
	}
	return t
}

func (t *translation) apply(in []byte) []byte {
	out := make([]byte, 0, len(in))
	for _, ch := range in {
		if t.remove[ch] {
			continue
		}
		ch = t.table[ch]
		if t.squeeze[ch] && t.last == int(ch) {
			continue
		}
		t.last = int(ch)
		out = append(out, ch)
	}
	return out
}

func complement(set []byte) (rest []byte) {
	for ch := range 256 {
		if !slices.Contains(set, byte(ch)) {
			rest = append(rest, byte(ch))
		}
	}
	return rest
}

// expandSet expands escapes, ranges and [:classes:].
func expandSet(text string) (set []byte, err error) {
	for text != "" {
		if end := strings.Index(text, ":]"); strings.HasPrefix(text, "[:") && end > 0 {
			class := classBytes(text[2:end])
			if class == nil {
				return nil, fmt.Errorf("invalid character class '%s'", text[2:end])
			}
			set, text = append(set, class...), text[end+2:]
			continue
		}
		first, n := setByte(text)
		text = text[n:]
		if len(text) < 2 || text[0] != '-' {
			set = append(set, first)
			continue
		}
		last, n := setByte(text[1:])
		if last < first {
			return nil, fmt.Errorf("range-endpoints of '%c-%c' are in reverse order", first, last)
		}
		for ch := int(first); ch <= int(last); ch++ {
			set = append(set, byte(ch))
		}
		text = text[1+n:]
	}
	return set, nil
}

func setByte(text string) (byte, int) {
	if text[0] != '\\' || len(text) == 1 {
		return text[0], 1
	}
	if digits := prefixOf(text[1:], "01234567", 3); digits != "" {
		n, _ := strconv.ParseUint(digits, 8, 16)
		return byte(n), 1 + len(digits)
	}
	if at := strings.IndexByte("abfnrtv", text[1]); at >= 0 {
		return "\a\b\f\n\r\t\v"[at], 2
	}
	return text[1], 2
}

func classBytes(name string) []byte {
	ranges := map[string]string{
		"upper": "AZ", "lower": "az", "digit": "09", "alpha": "AZaz", "alnum": "09AZaz",
		"space": "\t\r  ", "blank": "\t\t  ", "punct": "!/:@[`{~", "cntrl": "\x00\x1f\x7f\x7f",
		"print": " ~", "graph": "!~", "xdigit": "09AFaf",
	}[name]
	var set []byte
	for i := 0; i+1 < len(ranges); i += 2 {
		for ch := int(ranges[i]); ch <= int(ranges[i+1]); ch++ {
			set = append(set, byte(ch))
		}
	}
	return set
}
