// SPDX-License-Identifier: Apache-2.0

package command

import (
	"io"
	"os"
	"strings"
	"time"
)

func tail(c *Call) int {
	if len(c.Args) > 0 && strings.HasPrefix(c.Args[0], "+") {
		c.Args = append([]string{"-n", c.Args[0]}, c.Args[1:]...)
	}
	c.Args = legacyCount(c.Args)
	opts, ok := c.parse("n:c:fFqvs:", "lines=n", "bytes=c", "follow=f", "quiet=q")
	if !ok {
		return 1
	}
	bytes := opts.last("nc") == 'c'
	text := opts.value('n', "10")
	if bytes {
		text = opts.value('c', "")
	}
	count, err := parseSize(strings.TrimLeft(text, "+-"))
	if err != nil {
		return c.usage("%v", err)
	}
	fromStart := strings.HasPrefix(text, "+")
	c.eachTitled(opts, func(r io.Reader) error {
		switch {
		case fromStart && bytes:
			_, err := io.CopyN(io.Discard, r, max(count-1, 0))
			if err == nil {
				_, err = io.Copy(c.Out, r)
			}
			return ignoreEOF(err)
		case fromStart:
			return tailFrom(c, r, count)
		case bytes:
			return tailBytes(c, r, count)
		}
		return tailLines(c, r, int(count))
	})
	if opts.has("fF") {
		return c.follow(c.Args, opts.has("F"))
	}
	return c.status
}

func tailFrom(c *Call, r io.Reader, first int64) error {
	number := int64(0)
	return records(r, '\n', func(line string, ended bool) bool {
		if number++; number >= first {
			c.Out.WriteString(line)
			if ended {
				c.Out.WriteByte('\n')
			}
		}
		return true
	})
}

func tailLines(c *Call, r io.Reader, count int) error {
	if count == 0 {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	held := make([]string, 0, min(count, 1024))
	next := 0
	err := records(r, '\n', func(line string, ended bool) bool {
		if ended {
			line += "\n"
		}
		if len(held) < count {
			held = append(held, line)
		} else {
			held[next] = line
			next = (next + 1) % count
		}
		return true
	})
	for i := range held {
		c.Out.WriteString(held[(next+i)%len(held)])
	}
	return err
}

func tailBytes(c *Call, r io.Reader, count int64) error {
	all, err := io.ReadAll(r)
	c.Out.Write(all[max(0, int64(len(all))-count):])
	return err
}

// followed is a file whose new content tail -f prints.
type followed struct {
	name string
	file *os.File
}

// follow polls, which works on every filesystem. With reopen a file that was
// replaced or cut is read from its start.
func (c *Call) follow(names []string, reopen bool) int {
	var files []*followed
	for _, name := range names {
		f, err := os.Open(name)
		if err == nil {
			f.Seek(0, io.SeekEnd)
		}
		if err == nil || reopen {
			files = append(files, &followed{name, f})
		}
	}
	for len(files) > 0 {
		if err := c.Out.Flush(); err != nil {
			return 1
		}
		time.Sleep(200 * time.Millisecond)
		for _, f := range files {
			f.poll(c, reopen)
		}
	}
	return c.status
}

func (f *followed) poll(c *Call, reopen bool) {
	if reopen {
		now, err := os.Stat(f.name)
		if err != nil {
			return
		}
		if f.file == nil || !sameOpen(f.file, now) {
			f.file.Close()
			f.file, _ = os.Open(f.name)
		}
	}
	if f.file == nil {
		return
	}
	at, _ := f.file.Seek(0, io.SeekCurrent)
	if st, err := f.file.Stat(); err == nil && st.Mode().IsRegular() && st.Size() < at {
		f.file.Seek(0, io.SeekStart)
	}
	io.Copy(c.Out, f.file)
}

func sameOpen(f *os.File, now os.FileInfo) bool {
	open, err := f.Stat()
	return err == nil && os.SameFile(open, now)
}
