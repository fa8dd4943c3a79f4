// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
)

// checksum is md5sum, sha256sum and sha512sum.
func checksum(c *Call) int {
	opts, ok := c.parse("cbtswq", "check=c", "status=s", "quiet=q")
	if !ok {
		return 1
	}
	if opts.has("c") {
		return checkSums(c, opts)
	}
	c.eachInput(c.Args, func(name string, r io.Reader) error {
		sum, err := c.sum(r)
		if err == nil {
			fmt.Fprintf(c.Out, "%s  %s\n", sum, name)
		}
		return err
	})
	return c.status
}

func (c *Call) sum(r io.Reader) (string, error) {
	var h hash.Hash
	switch c.Name {
	case "md5sum":
		h = md5.New()
	case "sha512sum":
		h = sha512.New()
	default:
		h = sha256.New()
	}
	_, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), err
}

func checkSums(c *Call, opts options) int {
	failed := 0
	c.eachInput(c.Args, func(_ string, r io.Reader) error {
		return lines(r, func(line string) bool {
			want, name, ok := strings.Cut(line, " ")
			name = strings.TrimLeft(name, " *")
			if !ok {
				return true
			}
			result := "OK"
			f, err := c.open(name)
			if err == nil {
				var got string
				got, err = c.sum(f)
				f.Close()
				if got != strings.ToLower(want) {
					result = "FAILED"
				}
			}
			if err != nil {
				c.fail(name, err)
				result = "FAILED open or read"
			}
			if result != "OK" {
				failed++
			}
			if !opts.has("s") && (result != "OK" || !opts.has("q")) {
				fmt.Fprintf(c.Out, "%s: %s\n", name, result)
			}
			return true
		})
	})
	if failed > 0 {
		return c.errorf("WARNING: %d computed checksums did NOT match", failed)
	}
	return c.status
}

func base64Command(c *Call) int {
	opts, ok := c.parse("diw:", "decode=d", "wrap=w")
	if !ok {
		return 1
	}
	width, err := opts.number('w', 76)
	if err != nil {
		return c.usage("%v", err)
	}
	c.eachInput(c.Args, func(_ string, r io.Reader) error {
		if opts.has("d") {
			_, err := io.Copy(c.Out, base64.NewDecoder(base64.StdEncoding, r))
			return err
		}
		all, err := io.ReadAll(r)
		text := base64.StdEncoding.EncodeToString(all)
		for width > 0 && len(text) > width {
			fmt.Fprintln(c.Out, text[:width])
			text = text[width:]
		}
		c.Out.WriteString(text)
		if width > 0 && text != "" {
			c.Out.WriteByte('\n')
		}
		return err
	})
	return c.status
}

// cmp's status is 0 for equal, 1 for different, 2 for an error.
func cmpCommand(c *Call) int {
	opts, ok := c.parse("sl", "silent=s", "quiet=s")
	if !ok || len(c.Args) < 1 || len(c.Args) > 2 {
		c.usage("usage: cmp [-s] FILE1 [FILE2]")
		return 2
	}
	names := append(c.Args, "-")[:2]
	var readers [2]*bufio.Reader
	for i, name := range names {
		f, err := c.open(name)
		if err != nil {
			c.fail(name, err)
			return 2
		}
		defer f.Close()
		readers[i] = bufio.NewReader(f)
	}
	differ, text := difference(readers, names)
	switch {
	case !differ:
		return 0
	case !opts.has("s"):
		fmt.Fprintln(c.Out, text)
	}
	return 1
}

func difference(readers [2]*bufio.Reader, names []string) (differ bool, text string) {
	line := 1
	for at := int64(1); ; at++ {
		a, errA := readers[0].ReadByte()
		b, errB := readers[1].ReadByte()
		switch {
		case errA != nil && errB != nil:
			return false, ""
		case errA != nil:
			return true, "cmp: EOF on " + names[0]
		case errB != nil:
			return true, "cmp: EOF on " + names[1]
		case a != b:
			return true, fmt.Sprintf("%s %s differ: char %d, line %d", names[0], names[1], at, line)
		case a == '\n':
			line++
		}
	}
}

// hexdump is hexdump -C, the form people read; od is called the same.
func hexdump(c *Call) int {
	if _, ok := c.parse("CvA:t:n:cx"); !ok {
		return 1
	}
	c.eachInput(c.Args, func(_ string, r io.Reader) error {
		d := hex.Dumper(c.Out)
		defer d.Close()
		_, err := io.Copy(d, r)
		return err
	})
	return c.status
}

func gzipCommand(c *Call) int {
	opts, ok := c.parse("cdfkn123456789", "stdout=c", "decompress=d", "force=f", "keep=k")
	if !ok {
		return 1
	}
	return c.compress(opts, opts.has("d"))
}

func gunzip(c *Call) int {
	opts, ok := c.parse("cfkd", "stdout=c", "force=f", "keep=k")
	if !ok {
		return 1
	}
	if c.Name == "zcat" {
		opts.given = append(opts.given, option{letter: 'c'})
	}
	return c.compress(opts, true)
}

func (c *Call) compress(opts options, unpack bool) int {
	level := gzip.DefaultCompression
	if digit := opts.last("123456789"); digit != 0 {
		level = int(digit - '0')
	}
	convert := func(w io.Writer, r io.Reader) error { return pack(w, r, level) }
	if unpack {
		convert = unpackTo
	}
	if len(c.Args) == 0 || opts.has("c") {
		c.eachInput(c.Args, func(_ string, r io.Reader) error { return convert(c.Out, r) })
		return c.status
	}
	for _, name := range c.Args {
		if err := c.compressFile(name, opts, unpack, convert); err != nil {
			c.fail(name, err)
		}
	}
	return c.status
}

func pack(w io.Writer, r io.Reader, level int) error {
	z, err := gzip.NewWriterLevel(w, level)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, r); err != nil {
		return err
	}
	return z.Close()
}

func unpackTo(w io.Writer, r io.Reader) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, z)
	return err
}

func (c *Call) compressFile(name string, opts options, unpack bool, convert func(io.Writer, io.Reader) error) error {
	target, suffixed := strings.CutSuffix(name, ".gz")
	if unpack != suffixed {
		return fmt.Errorf("unexpected suffix")
	}
	if !unpack {
		target = name + ".gz"
	}
	if _, err := os.Lstat(target); err == nil && !opts.has("f") {
		return os.ErrExist
	}
	in, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := convert(&out, bytes.NewReader(in)); err != nil {
		return err
	}
	st, err := os.Stat(name)
	if err != nil {
		return err
	}
	if err := os.WriteFile(target, out.Bytes(), st.Mode().Perm()); err != nil {
		return err
	}
	if opts.has("k") {
		return nil
	}
	return os.Remove(name)
}
