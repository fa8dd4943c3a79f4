// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// span is a range of positions from 1; last 0 is without end.
type span struct{ first, last int }

func parseSpans(list string) (spans []span, err error) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, ranged := strings.Cut(part, "-")
		s := span{first: 1}
		if from != "" {
			s.first, err = strconv.Atoi(from)
		}
		if err == nil && to != "" {
			s.last, err = strconv.Atoi(to)
		}
		if !ranged {
			s.last = s.first
		}
		if err != nil || s.first < 1 || part == "-" || part == "" || s.last != 0 && s.last < s.first {
			return nil, fmt.Errorf("invalid list '%s'", list)
		}
		spans = append(spans, s)
	}
	return spans, nil
}

func selected(spans []span, position int) bool {
	return slices.ContainsFunc(spans, func(s span) bool {
		return position >= s.first && (s.last == 0 || position <= s.last)
	})
}

func cut(c *Call) int {
	opts, ok := c.parse("b:c:d:f:nsC", "bytes=b", "characters=c", "delimiter=d", "fields=f", "only-delimited=s", "complement=C")
	if !ok {
		return 1
	}
	kind := opts.last("bcf")
	if kind == 0 {
		return c.usage("you must specify a list of bytes, characters, or fields")
	}
	spans, err := parseSpans(opts.value(kind, ""))
	if err != nil {
		return c.usage("%v", err)
	}
	pick := func(position int) bool { return selected(spans, position) != opts.has("C") }
	delimiter := opts.value('d', "\t")
	c.eachInput(c.Args, func(_ string, r io.Reader) error {
		return lines(r, func(line string) bool {
			switch {
			case kind == 'f' && !strings.Contains(line, delimiter):
				if !opts.has("s") {
					fmt.Fprintln(c.Out, line)
				}
			case kind == 'f':
				fmt.Fprintln(c.Out, strings.Join(pickParts(strings.Split(line, delimiter), pick), delimiter))
			case kind == 'b':
				fmt.Fprintln(c.Out, pickBytes(line, pick))
			default:
				fmt.Fprintln(c.Out, strings.Join(pickParts(strings.Split(line, ""), pick), ""))
			}
			return true
		})
	})
	return c.status
}

func pickParts(parts []string, pick func(int) bool) (picked []string) {
	for i, part := range parts {
		if pick(i + 1) {
			picked = append(picked, part)
		}
	}
	return picked
}

func pickBytes(line string, pick func(int) bool) string {
	var b []byte
	for i := range len(line) {
		if pick(i + 1) {
			b = append(b, line[i])
		}
	}
	return string(b)
}

func uniq(c *Call) int {
	opts, ok := c.parse("cduif:s:w:", "count=c", "repeated=d", "unique=u", "ignore-case=i")
	if !ok {
		return 1
	}
	skip, err := opts.number('f', 0)
	if err != nil {
		return c.usage("%v", err)
	}
	out := io.Writer(c.Out)
	if len(c.Args) > 1 {
		f, err := os.Create(c.Args[1])
		if err != nil {
			return c.fail(c.Args[1], err)
		}
		defer f.Close()
		out, c.Args = f, c.Args[:1]
	}
	var last string
	times := 0
	flush := func() {
		if times == 0 || opts.has("d") && times < 2 || opts.has("u") && times > 1 {
			return
		}
		if opts.has("c") {
			fmt.Fprintf(out, "%7d ", times)
		}
		fmt.Fprintln(out, last)
	}
	c.eachInput(c.Args, func(_ string, r io.Reader) error {
		return lines(r, func(line string) bool {
			if times > 0 && sameLine(last, line, skip, opts.has("i")) {
				times++
				return true
			}
			flush()
			last, times = line, 1
			return true
		})
	})
	flush()
	return c.status
}

func sameLine(a, b string, skip int, fold bool) bool {
	a, b = skipFields(a, skip), skipFields(b, skip)
	return a == b || fold && strings.EqualFold(a, b)
}

func skipFields(line string, n int) string {
	for range n {
		line = strings.TrimLeft(line, " \t")
		if end := strings.IndexAny(line, " \t"); end >= 0 {
			line = line[end:]
		} else {
			line = ""
		}
	}
	return line
}
