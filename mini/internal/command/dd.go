// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ddRun has dd's operands; sizes are in bytes.
type ddRun struct {
	in, out          string
	inSize, outSize  int64
	count            int64
	skip, seek       int64
	conv, flags      string
	status           string
	full, partial    int64
	written          int64
	fullOut, partOut int64
}

func dd(c *Call) int {
	d := &ddRun{inSize: 512, outSize: 512, count: -1}
	for _, arg := range c.Args {
		if err := d.operand(arg); err != nil {
			return c.usage("%v", err)
		}
	}
	start := time.Now()
	err := d.run(c)
	if d.status != "none" {
		fmt.Fprintf(c.Err, "%d+%d records in\n%d+%d records out\n", d.full, d.partial, d.fullOut, d.partOut)
	}
	if d.status == "" || d.status == "progress" {
		took := time.Since(start).Seconds()
		fmt.Fprintf(c.Err, "%d bytes (%s) copied, %.6f seconds, %s/s\n", d.written, humanSize(d.written), took, humanSize(int64(float64(d.written)/took)))
	}
	if err != nil {
		return c.errorf("%s", ddReason(err))
	}
	return 0
}

func ddReason(err error) string {
	if named, ok := errors.AsType[*os.PathError](err); ok {
		return named.Path + ": " + Reason(err)
	}
	return Reason(err)
}

func (d *ddRun) operand(arg string) (err error) {
	name, value, ok := strings.Cut(arg, "=")
	if !ok {
		return fmt.Errorf("unrecognized operand '%s'", arg)
	}
	switch name {
	case "if":
		d.in = value
	case "of":
		d.out = value
	case "bs":
		d.inSize, err = parseSize(value)
		d.outSize = d.inSize
	case "ibs":
		d.inSize, err = parseSize(value)
	case "obs":
		d.outSize, err = parseSize(value)
	case "count":
		d.count, err = parseSize(value)
	case "skip", "iseek":
		d.skip, err = parseSize(value)
	case "seek", "oseek":
		d.seek, err = parseSize(value)
	case "conv":
		d.conv += "," + value + ","
	case "iflag", "oflag":
		d.flags += "," + name[:1] + ":" + value + ","
	case "status":
		d.status = value
	default:
		return fmt.Errorf("unrecognized operand '%s'", arg)
	}
	if err == nil && (d.inSize < 1 || d.inSize > 1<<30) {
		return fmt.Errorf("invalid block size '%s'", value)
	}
	return err
}

func (d *ddRun) has(word string) bool { return strings.Contains(d.conv, ","+word+",") }

func (d *ddRun) run(c *Call) (err error) {
	in := os.Stdin
	if d.in != "" {
		if in, err = os.Open(d.in); err != nil {
			return err
		}
		defer in.Close()
	}
	out := os.Stdout
	if d.out != "" {
		if out, err = d.create(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.Close()) }()
	}
	if err := d.position(in, out); err != nil {
		return err
	}
	if err := d.copy(in, out); err != nil {
		return err
	}
	if d.has("sparse") {
		if size, err := out.Seek(0, io.SeekCurrent); err == nil && d.out != "" {
			if err := out.Truncate(size); err != nil {
				return err
			}
		}
	}
	if d.has("fsync") || d.has("fdatasync") {
		return out.Sync()
	}
	return nil
}

func (d *ddRun) create() (*os.File, error) {
	flags := os.O_WRONLY | os.O_CREATE
	switch {
	case strings.Contains(d.flags, "o:append"):
		flags |= os.O_APPEND
	case !d.has("notrunc") && d.seek == 0:
		flags |= os.O_TRUNC
	}
	if d.has("excl") {
		flags |= os.O_EXCL
	}
	if d.has("nocreat") {
		flags &^= os.O_CREATE
	}
	if strings.Contains(d.flags, "o:sync") || strings.Contains(d.flags, "o:dsync") {
		flags |= unix.O_DSYNC
	}
	f, err := os.OpenFile(d.out, flags, 0o666)
	if err == nil && d.seek > 0 && !d.has("notrunc") {
		if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
			f.Truncate(d.seek * d.outSize)
		}
	}
	return f, err
}

// position skips and seeks; what cannot seek is read instead.
func (d *ddRun) position(in, out *os.File) error {
	if d.skip > 0 {
		if _, err := in.Seek(d.skip*d.inSize, io.SeekCurrent); err != nil {
			if _, err := io.CopyN(io.Discard, in, d.skip*d.inSize); err != nil && err != io.EOF {
				return err
			}
		}
	}
	if d.seek > 0 {
		if _, err := out.Seek(d.seek*d.outSize, io.SeekStart); err != nil {
			return err
		}
	}
	return nil
}

func (d *ddRun) copy(in, out *os.File) error {
	buf := make([]byte, d.inSize)
	for n := int64(0); d.count < 0 || n < d.count; n++ {
		size, err := d.read(in, buf)
		if size > 0 {
			if err := d.write(out, buf, size); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *ddRun) read(in *os.File, buf []byte) (size int, err error) {
	if strings.Contains(d.flags, "fullblock") {
		size, err = io.ReadFull(in, buf)
	} else {
		size, err = in.Read(buf)
	}
	switch {
	case size == len(buf):
		d.full++
	case size > 0:
		d.partial++
		if d.has("sync") {
			clear(buf[size:])
			size = len(buf)
		}
	}
	return size, err
}

func (d *ddRun) write(out *os.File, buf []byte, size int) error {
	block := buf[:size]
	if d.has("ucase") {
		block = []byte(strings.ToUpper(string(block)))
	}
	if d.has("lcase") {
		block = []byte(strings.ToLower(string(block)))
	}
	if d.has("sparse") && strings.Trim(string(block), "\x00") == "" {
		if _, err := out.Seek(int64(size), io.SeekCurrent); err == nil {
			block = nil
		}
	}
	if _, err := out.Write(block); err != nil {
		return err
	}
	d.written += int64(size)
	if int64(size) == d.outSize || d.inSize == d.outSize && size == len(buf) {
		d.fullOut++
	} else {
		d.partOut++
	}
	return nil
}
