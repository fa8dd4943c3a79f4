// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// sortKey is one -k: fields and characters from 1; toField 0 is the line's end.
type sortKey struct {
	fromField, fromChar, toField, toChar int
	flags                                string
}

type sorter struct {
	keys      []sortKey
	separator string
	stable    bool
	reverse   bool // of the last resort, the whole line
}

// sortCommand sorts by bytes (the C locale).
func sortCommand(c *Call) int {
	opts, ok := c.parse("bcdfghik:mnMo:rRst:uVz", "reverse=r", "numeric-sort=n", "unique=u", "key=k", "field-separator=t", "stable=s", "output=o")
	if !ok {
		return 2
	}
	s, err := newSorter(opts)
	if err != nil {
		return c.usage("%v", err)
	}
	end := byte('\n')
	if opts.has("z") {
		end = 0
	}
	var all []string
	c.eachInput(c.Args, func(_ string, r io.Reader) error {
		return records(r, end, func(line string, _ bool) bool {
			all = append(all, line)
			return true
		})
	})
	if opts.has("c") {
		return checkSorted(c, s, all)
	}
	slices.SortStableFunc(all, s.compare)
	if opts.has("u") {
		all = slices.CompactFunc(all, func(a, b string) bool { return s.byKeys(a, b) == 0 })
	}
	return writeSorted(c, opts.value('o', ""), all, end)
}

func writeSorted(c *Call, name string, all []string, end byte) int {
	out := io.Writer(c.Out)
	if name != "" {
		f, err := os.Create(name)
		if err != nil {
			return c.fail(name, err)
		}
		defer f.Close()
		out = f
	}
	var b strings.Builder
	for _, line := range all {
		b.WriteString(line)
		b.WriteByte(end)
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return c.fail("write error", err)
	}
	return c.status
}

func checkSorted(c *Call, s sorter, all []string) int {
	for i := 1; i < len(all); i++ {
		if s.compare(all[i-1], all[i]) > 0 {
			return c.errorf("disorder: %s", all[i])
		}
	}
	return 0
}

func newSorter(opts options) (s sorter, err error) {
	var global string
	for _, o := range opts.given {
		if strings.IndexByte("bdfghinMrRV", o.letter) >= 0 {
			global += string(o.letter)
		}
	}
	s = sorter{separator: opts.value('t', ""), stable: opts.has("su"), reverse: strings.Contains(global, "r")}
	for _, text := range opts.values('k') {
		key, err := parseKey(text)
		if err != nil {
			return s, err
		}
		if key.flags == "" {
			key.flags = global
		}
		s.keys = append(s.keys, key)
	}
	if len(s.keys) == 0 {
		s.keys = []sortKey{{fromField: 1, fromChar: 1, flags: global}}
	}
	return s, nil
}

func parseKey(text string) (key sortKey, err error) {
	from, to, ranged := strings.Cut(text, ",")
	if key.fromField, key.fromChar, key.flags, err = parsePosition(from); err != nil || key.fromField == 0 {
		return key, fmt.Errorf("invalid key '%s'", text)
	}
	key.fromChar = max(key.fromChar, 1)
	if ranged {
		var flags string
		if key.toField, key.toChar, flags, err = parsePosition(to); err != nil {
			return key, fmt.Errorf("invalid key '%s'", text)
		}
		key.flags += flags
	}
	return key, nil
}

func parsePosition(text string) (field, char int, flags string, err error) {
	digits := prefixOf(text, "0123456789", 9)
	if field, err = strconv.Atoi(digits); err != nil {
		return 0, 0, "", err
	}
	text = text[len(digits):]
	if rest, ok := strings.CutPrefix(text, "."); ok {
		digits = prefixOf(rest, "0123456789", 9)
		if char, err = strconv.Atoi(digits); err != nil {
			return 0, 0, "", err
		}
		text = rest[len(digits):]
	}
	return field, char, text, nil
}

func (s sorter) compare(a, b string) int {
	if order := s.byKeys(a, b); order != 0 || s.stable {
		return order
	}
	order := strings.Compare(a, b)
	if s.reverse {
		return -order
	}
	return order
}

func (s sorter) byKeys(a, b string) int {
	for _, key := range s.keys {
		order := compareKey(s.part(a, key), s.part(b, key), key.flags)
		if strings.Contains(key.flags, "r") {
			order = -order
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

// part is what the key selects from the line.
func (s sorter) part(line string, key sortKey) string {
	if key.fromField == 1 && key.fromChar == 1 && key.toField == 0 {
		return line
	}
	starts := s.fields(line)
	from := fieldAt(starts, key.fromField, len(line)) + key.fromChar - 1
	to := len(line)
	switch {
	case key.toField > 0 && key.toChar > 0:
		to = fieldAt(starts, key.toField, len(line)) + key.toChar
	case key.toField > 0 && key.toField < len(starts):
		to = starts[key.toField] - len(s.separator)
	}
	from, to = min(from, len(line)), min(to, len(line))
	return line[from:max(from, to)]
}

func fieldAt(starts []int, field, end int) int {
	if field <= len(starts) {
		return starts[field-1]
	}
	return end
}

// fields are where the fields begin. Without a separator the blanks before a
// field are part of it (POSIX, sort).
func (s sorter) fields(line string) []int {
	starts := []int{0}
	if s.separator != "" {
		for i := 0; i+len(s.separator) <= len(line); i++ {
			if strings.HasPrefix(line[i:], s.separator) {
				starts = append(starts, i+len(s.separator))
			}
		}
		return starts
	}
	for i := 1; i < len(line); i++ {
		if isBlank(line[i]) && !isBlank(line[i-1]) {
			starts = append(starts, i)
		}
	}
	return starts
}

func isBlank(ch byte) bool { return ch == ' ' || ch == '\t' }

func compareKey(a, b, flags string) int {
	if strings.ContainsAny(flags, "bnghMV") {
		a, b = strings.TrimLeft(a, " \t"), strings.TrimLeft(b, " \t")
	}
	switch {
	case strings.ContainsAny(flags, "ng"):
		return cmp.Compare(leadingNumber(a), leadingNumber(b))
	case strings.Contains(flags, "h"):
		return cmp.Compare(leadingSize(a), leadingSize(b))
	case strings.Contains(flags, "V"):
		return compareVersions(a, b)
	case strings.Contains(flags, "f"):
		return strings.Compare(strings.ToUpper(a), strings.ToUpper(b))
	}
	return strings.Compare(a, b)
}

func leadingNumber(text string) float64 {
	sign := prefixOf(text, "-+", 1)
	digits := prefixOf(text[len(sign):], "0123456789.", len(text))
	n, _ := strconv.ParseFloat(sign+digits, 64)
	return n
}

func leadingSize(text string) float64 {
	n := leadingNumber(text)
	suffix := strings.TrimLeft(text, "+-0123456789.")
	if suffix != "" {
		if unit, ok := sizeUnit(strings.ToLower(suffix[:1])); ok {
			n *= float64(unit)
		}
	}
	return n
}

// compareVersions compares runs of digits as numbers.
func compareVersions(a, b string) int {
	const digits = "0123456789"
	for a != "" && b != "" {
		x, y := prefixOf(a, digits, len(a)), prefixOf(b, digits, len(b))
		if x == "" || y == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		if order := cmp.Compare(leadingNumber(x), leadingNumber(y)); order != 0 {
			return order
		}
		a, b = a[len(x):], b[len(y):]
	}
	return cmp.Compare(len(a), len(b))
}
