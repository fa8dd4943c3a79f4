// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

func cat(c *Call) int {
	opts, ok := c.parse("nbuvetAEsT", "number=n")
	if !ok {
		return 1
	}
	number := 0
	c.eachInput(c.Args, func(_ string, r io.Reader) error {
		if !opts.has("nbevAET") {
			return copyOut(c, r)
		}
		return records(r, '\n', func(line string, ended bool) bool {
			return catLine(c, opts, &number, line, ended)
		})
	})
	return c.status
}

// copyOut copies as it reads: what comes slowly through a pipe is seen at once.
func copyOut(c *Call, r io.Reader) error {
	if err := c.Out.Flush(); err != nil {
		return err
	}
	buf := make([]byte, 128<<10)
	for {
		n, err := r.Read(buf)
		c.Out.Write(buf[:n])
		if flush := c.Out.Flush(); flush != nil {
			return flush
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func catLine(c *Call, opts options, number *int, line string, ended bool) bool {
	if opts.has("n") || opts.has("b") && line != "" {
		*number++
		fmt.Fprintf(c.Out, "%6d\t", *number)
	}
	if opts.has("veAt") {
		line = visible(line)
	}
	if opts.has("AtT") {
		line = strings.ReplaceAll(line, "\t", "^I")
	}
	c.Out.WriteString(line)
	if ended {
		if opts.has("AeE") {
			c.Out.WriteByte('$')
		}
		c.Out.WriteByte('\n')
	}
	return true
}

func visible(line string) string {
	var b strings.Builder
	for _, ch := range []byte(line) {
		if ch >= 128 {
			b.WriteString("M-")
			ch -= 128
		}
		switch {
		case ch == 127:
			b.WriteString("^?")
		case ch < 32 && ch != '\t':
			b.WriteString("^" + string(ch+64))
		default:
			b.WriteByte(ch)
		}
	}
	return b.String()
}

// legacyCount turns the old form -5 into -n 5.
func legacyCount(args []string) []string {
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && strings.Trim(args[0][1:], "0123456789") == "" {
		return append([]string{"-n", args[0][1:]}, args[1:]...)
	}
	return args
}

func head(c *Call) int {
	c.Args = legacyCount(c.Args)
	opts, ok := c.parse("n:c:qv", "lines=n", "bytes=c", "quiet=q", "verbose=v")
	if !ok {
		return 1
	}
	bytes := opts.last("nc") == 'c'
	text := opts.value('n', "10")
	if bytes {
		text = opts.value('c', "")
	}
	count, err := parseSize(strings.TrimPrefix(text, "-"))
	if err != nil {
		return c.usage("%v", err)
	}
	allBut := strings.HasPrefix(text, "-")
	c.eachTitled(opts, func(r io.Reader) error {
		switch {
		case bytes && allBut:
			return headAllButBytes(c, r, count)
		case bytes:
			_, err := io.CopyN(c.Out, r, count)
			return ignoreEOF(err)
		case allBut:
			return headAllButLines(c, r, int(count))
		}
		return headLines(c, r, count)
	})
	return c.status
}

// eachTitled is eachInput with the titles head and tail give several files.
func (c *Call) eachTitled(opts options, f func(io.Reader) error) {
	titles := opts.has("v") || len(c.Args) > 1 && !opts.has("q")
	first := true
	c.eachInput(c.Args, func(name string, r io.Reader) error {
		if titles {
			c.title(name, first)
		}
		first = false
		return f(r)
	})
}

func (c *Call) title(name string, first bool) {
	if !first {
		c.Out.WriteByte('\n')
	}
	if name == "-" {
		name = "standard input"
	}
	fmt.Fprintf(c.Out, "==> %s <==\n", name)
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// headLines reads no further than it must where the input can be read again
// from there, so that `(head -n1; cat) <file` works.
func headLines(c *Call, r io.Reader, count int64) error {
	if count == 0 {
		return nil
	}
	in := bufio.NewReaderSize(r, 64<<10)
	for range count {
		line, err := in.ReadString('\n')
		c.Out.WriteString(line)
		if err != nil {
			return ignoreEOF(err)
		}
	}
	if f, ok := r.(io.Seeker); ok && in.Buffered() > 0 {
		f.Seek(int64(-in.Buffered()), io.SeekCurrent)
	}
	return nil
}

func headAllButLines(c *Call, r io.Reader, count int) error {
	var held []string
	return records(r, '\n', func(line string, ended bool) bool {
		if ended {
			line += "\n"
		}
		held = append(held, line)
		if len(held) > count {
			c.Out.WriteString(held[0])
			held = held[1:]
		}
		return true
	})
}

func headAllButBytes(c *Call, r io.Reader, count int64) error {
	all, err := io.ReadAll(r)
	if keep := int64(len(all)) - count; keep > 0 {
		c.Out.Write(all[:keep])
	}
	return err
}

type counts struct{ lines, words, bytes, runes, longest int64 }

func wc(c *Call) int {
	opts, ok := c.parse("lwcmL", "lines=l", "words=w", "bytes=c", "chars=m")
	if !ok {
		return 1
	}
	var total counts
	files := 0
	c.eachInput(c.Args, func(name string, r io.Reader) error {
		n, err := count(r)
		if err != nil {
			return err
		}
		files++
		total.lines += n.lines
		total.words += n.words
		total.bytes += n.bytes
		total.runes += n.runes
		total.longest = max(total.longest, n.longest)
		if len(c.Args) == 0 {
			name = ""
		}
		wcPrint(c, opts, n, name)
		return nil
	})
	if files > 1 {
		wcPrint(c, opts, total, "total")
	}
	return c.status
}

func count(r io.Reader) (n counts, err error) {
	err = records(r, '\n', func(line string, ended bool) bool {
		n.bytes += int64(len(line))
		n.words += int64(len(strings.Fields(line)))
		runes := int64(utf8.RuneCountInString(line))
		n.runes += runes
		n.longest = max(n.longest, runes)
		if ended {
			n.lines++
			n.bytes++
			n.runes++
		}
		return true
	})
	return n, err
}

func wcPrint(c *Call, opts options, n counts, name string) {
	var columns []string
	for _, column := range []struct {
		letter string
		value  int64
	}{{"l", n.lines}, {"w", n.words}, {"m", n.runes}, {"c", n.bytes}, {"L", n.longest}} {
		byDefault := !opts.has("lwcmL") && strings.Contains("lwc", column.letter)
		if opts.has(column.letter) || byDefault {
			columns = append(columns, strconv.FormatInt(column.value, 10))
		}
	}
	if len(columns) > 1 {
		for i := range columns {
			columns[i] = fmt.Sprintf("%7s", columns[i])
		}
	}
	if name != "" {
		columns = append(columns, name)
	}
	fmt.Fprintln(c.Out, strings.Join(columns, " "))
}

func tee(c *Call) int {
	opts, ok := c.parse("ai", "append=a")
	if !ok {
		return 1
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if opts.has("a") {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	writers := []io.Writer{c.Out}
	for _, name := range c.Args {
		f, err := os.OpenFile(name, flags, 0o666)
		if err != nil {
			c.fail(name, err)
			continue
		}
		defer f.Close()
		writers = append(writers, f)
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := c.In.Read(buf)
		for _, w := range writers {
			if _, err := w.Write(buf[:n]); err != nil {
				c.fail("write error", err)
			}
		}
		c.Out.Flush()
		if err != nil {
			return c.status
		}
	}
}
