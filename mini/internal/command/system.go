// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func uname(c *Call) int {
	opts, ok := c.parse("asnrvmpio", "all=a", "kernel-name=s", "nodename=n", "kernel-release=r", "kernel-version=v", "machine=m", "operating-system=o")
	if !ok {
		return 1
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return c.errorf("%s", Reason(err))
	}
	var parts []string
	for _, field := range []struct{ letter, text string }{
		{"s", unix.ByteSliceToString(u.Sysname[:])}, {"n", unix.ByteSliceToString(u.Nodename[:])},
		{"r", unix.ByteSliceToString(u.Release[:])}, {"v", unix.ByteSliceToString(u.Version[:])},
		{"m", unix.ByteSliceToString(u.Machine[:])}, {"o", "Linux"},
	} {
		if opts.has(field.letter) || opts.has("a") || field.letter == "s" && len(opts.given) == 0 ||
			field.letter == "m" && opts.has("pi") {
			parts = append(parts, field.text)
		}
	}
	fmt.Fprintln(c.Out, strings.Join(parts, " "))
	return 0
}

func hostname(c *Call) int {
	opts, ok := c.parse("sfidF:")
	if !ok {
		return 1
	}
	if name := opts.value('F', ""); name != "" {
		text, err := os.ReadFile(name)
		if err != nil {
			return c.fail(name, err)
		}
		c.Args = []string{strings.TrimSpace(string(text))}
	}
	if len(c.Args) > 0 {
		if err := unix.Sethostname([]byte(c.Args[0])); err != nil {
			return c.fail("sethostname", err)
		}
		return 0
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return c.errorf("%s", Reason(err))
	}
	name := unix.ByteSliceToString(u.Nodename[:])
	if opts.has("s") {
		name, _, _ = strings.Cut(name, ".")
	}
	fmt.Fprintln(c.Out, name)
	return 0
}

func nproc(c *Call) int {
	fmt.Fprintln(c.Out, runtime.NumCPU())
	return 0
}

func tty(c *Call) int {
	opts, ok := c.parse("s")
	if !ok {
		return 2
	}
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err != nil {
		if !opts.has("s") {
			fmt.Fprintln(c.Out, "not a tty")
		}
		return 1
	}
	name, err := os.Readlink("/proc/self/fd/0")
	if err != nil {
		name = "/dev/tty"
	}
	if !opts.has("s") {
		fmt.Fprintln(c.Out, name)
	}
	return 0
}

func uptime(c *Call) int {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return c.errorf("%s", Reason(err))
	}
	const one = 1 << 16
	fmt.Fprintf(c.Out, " %s up %d days, %2d:%02d,  load average: %.2f, %.2f, %.2f\n", time.Now().Format("15:04:05"),
		info.Uptime/86400, info.Uptime/3600%24, info.Uptime/60%60,
		float64(info.Loads[0])/one, float64(info.Loads[1])/one, float64(info.Loads[2])/one)
	return 0
}

func free(c *Call) int {
	opts, ok := c.parse("bkmgh")
	if !ok {
		return 1
	}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return c.fail("/proc/meminfo", err)
	}
	info := map[string]int64{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			info[strings.TrimSuffix(fields[0], ":")] = n * 1024
		}
	}
	show := func(n int64) string {
		switch opts.last("bkmgh") {
		case 'b':
			return strconv.FormatInt(n, 10)
		case 'm':
			return strconv.FormatInt(n>>20, 10)
		case 'g':
			return strconv.FormatInt(n>>30, 10)
		case 'h':
			return humanSize(n)
		}
		return strconv.FormatInt(n>>10, 10)
	}
	cache := info["Buffers"] + info["Cached"] + info["SReclaimable"]
	used := info["MemTotal"] - info["MemAvailable"]
	fmt.Fprintf(c.Out, "%20s%12s%12s%12s%12s%12s\n", "total", "used", "free", "shared", "buff/cache", "available")
	fmt.Fprintf(c.Out, "Mem:%16s%12s%12s%12s%12s%12s\n", show(info["MemTotal"]), show(used), show(info["MemFree"]),
		show(info["Shmem"]), show(cache), show(info["MemAvailable"]))
	fmt.Fprintf(c.Out, "Swap:%15s%12s%12s\n", show(info["SwapTotal"]), show(info["SwapTotal"]-info["SwapFree"]), show(info["SwapFree"]))
	return 0
}

func sync(c *Call) int {
	opts, ok := c.parse("df", "data=d", "file-system=f")
	if !ok {
		return 1
	}
	if len(c.Args) == 0 {
		unix.Sync()
		return 0
	}
	for _, name := range c.Args {
		f, err := os.Open(name)
		if err == nil {
			switch opts.last("df") {
			case 'f':
				err = unix.Syncfs(int(f.Fd()))
			case 'd':
				err = unix.Fdatasync(int(f.Fd()))
			default:
				err = f.Sync()
			}
			f.Close()
		}
		if err != nil {
			c.fail(name, err)
		}
	}
	return c.status
}

func truncate(c *Call) int {
	opts, ok := c.parse("s:cr:", "size=s", "no-create=c")
	if !ok {
		return 1
	}
	text := opts.value('s', "")
	if text == "" || len(c.Args) == 0 {
		return c.usage("usage: truncate -s SIZE FILE...")
	}
	sign := prefixOf(text, "+-", 1)
	size, err := parseSize(text[len(sign):])
	if err != nil {
		return c.usage("%v", err)
	}
	for _, name := range c.Args {
		if err := truncateOne(name, sign, size, opts.has("c")); err != nil {
			c.fail(name, err)
		}
	}
	return c.status
}

func truncateOne(name, sign string, size int64, existing bool) error {
	flags := os.O_WRONLY | os.O_CREATE
	if existing {
		flags = os.O_WRONLY
	}
	f, err := os.OpenFile(name, flags, 0o666)
	if existing && os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	switch sign {
	case "+":
		size += st.Size()
	case "-":
		size = max(st.Size()-size, 0)
	}
	return f.Truncate(size)
}

func fallocate(c *Call) int {
	opts, ok := c.parse("l:o:n", "length=l", "offset=o", "keep-size=n")
	if !ok {
		return 1
	}
	length, err := parseSize(opts.value('l', ""))
	offset, err2 := parseSize(opts.value('o', "0"))
	if err != nil || err2 != nil || len(c.Args) != 1 {
		return c.usage("usage: fallocate [-n] [-o OFFSET] -l LENGTH FILE")
	}
	f, err := os.OpenFile(c.Args[0], os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return c.fail(c.Args[0], err)
	}
	defer f.Close()
	mode := uint32(0)
	if opts.has("n") {
		mode = unix.FALLOC_FL_KEEP_SIZE
	}
	if err := unix.Fallocate(int(f.Fd()), mode, offset, length); err != nil {
		return c.fail(c.Args[0], err)
	}
	return 0
}
