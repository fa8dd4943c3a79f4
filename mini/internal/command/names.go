// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func mkdir(c *Call) int {
	opts, ok := c.parse("pm:v", "parents=p", "mode=m", "verbose=v")
	if !ok {
		return 1
	}
	if len(c.Args) == 0 {
		return c.usage("missing operand")
	}
	for _, name := range c.Args {
		mode, err := ChangeMode(opts.value('m', "777"), 0o777, umask())
		if err != nil {
			return c.usage("%v", err)
		}
		if opts.has("p") {
			err = mkdirAll(name)
		} else {
			err = os.Mkdir(name, 0o777)
		}
		if err == nil && opts.has("m") {
			err = unix.Chmod(name, mode&0o7777)
		}
		if err != nil {
			c.errorf("cannot create directory '%s': %s", name, Reason(err))
		} else if opts.has("v") {
			fmt.Fprintf(c.Out, "created directory: '%s'\n", name)
		}
	}
	return c.status
}

// mkdirAll gives the parents u+wx whatever the umask, as POSIX asks of -p.
func mkdirAll(name string) error {
	if st, err := os.Stat(name); err == nil {
		if st.IsDir() {
			return nil
		}
		return unix.EEXIST
	}
	parent := filepath.Dir(filepath.Clean(name))
	if _, err := os.Stat(parent); err != nil {
		if err := mkdirAll(parent); err != nil {
			return err
		}
	}
	err := os.Mkdir(name, 0o777)
	if errors.Is(err, os.ErrExist) {
		if st, err := os.Stat(name); err == nil && st.IsDir() {
			return nil
		}
	}
	return err
}

func rmdir(c *Call) int {
	opts, ok := c.parse("pi", "parents=p", "ignore-fail-on-non-empty=i")
	if !ok {
		return 1
	}
	if len(c.Args) == 0 {
		return c.usage("missing operand")
	}
	for _, name := range c.Args {
		for {
			err := unix.Rmdir(name)
			if err != nil {
				if !opts.has("i") || err != unix.ENOTEMPTY {
					c.errorf("failed to remove '%s': %s", name, Reason(err))
				}
				break
			}
			if name = filepath.Dir(name); !opts.has("p") || name == "." || name == "/" {
				break
			}
		}
	}
	return c.status
}

func rm(c *Call) int {
	opts, ok := c.parse("rRfivdI", "recursive=r", "force=f", "verbose=v", "dir=d", "no-preserve-root=I", "preserve-root=I")
	if !ok {
		return 1
	}
	if len(c.Args) == 0 && !opts.has("f") {
		return c.usage("missing operand")
	}
	for _, name := range c.Args {
		base := filepath.Base(name)
		if base == "." || base == ".." || filepath.Clean(name) == "/" {
			c.errorf("refusing to remove '%s'", name)
			continue
		}
		rmTree(c, opts, name)
	}
	return c.status
}

func rmTree(c *Call, opts options, name string) {
	var st unix.Stat_t
	err := unix.Lstat(name, &st)
	isDir := err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case err != nil:
	case isDir && !opts.has("rRd"):
		err = unix.EISDIR
	case opts.last("if") == 'i' && !c.confirm("remove '%s'? ", name):
		return
	case isDir:
		if opts.has("rR") {
			rmBeneath(c, opts, name)
		}
		err = unix.Rmdir(name)
	default:
		err = unix.Unlink(name)
	}
	switch {
	case err == unix.ENOENT && opts.has("f"):
	case err != nil:
		c.errorf("cannot remove '%s': %s", name, Reason(err))
	case opts.has("v"):
		fmt.Fprintf(c.Out, "removed '%s'\n", name)
	}
}

func rmBeneath(c *Call, opts options, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.errorf("cannot remove '%s': %s", dir, Reason(err))
	}
	for _, entry := range entries {
		rmTree(c, opts, filepath.Join(dir, entry.Name()))
	}
}

func (c *Call) confirm(format string, args ...any) bool {
	c.Out.Flush()
	fmt.Fprintf(c.Err, "%s: %s", c.Name, fmt.Sprintf(format, args...))
	var answer [1]byte
	yes := false
	for first := true; ; first = false {
		n, err := c.In.Read(answer[:])
		if n == 0 || err != nil || answer[0] == '\n' {
			return yes
		}
		if first {
			yes = answer[0] == 'y' || answer[0] == 'Y'
		}
	}
}

func unlink(c *Call) int {
	if len(c.Args) != 1 {
		return c.usage("usage: unlink FILE")
	}
	if err := unix.Unlink(c.Args[0]); err != nil {
		return c.fail(c.Args[0], err)
	}
	return 0
}

// destination splits the operands of cp, mv and ln in sources and where they
// go, which is a directory with -t, or when it exists as one and -T was not
// given.
func destination(args []string, opts options, linkIsFile bool) (sources []string, dest string, intoDir bool, err error) {
	if dir := opts.value('t', ""); dir != "" {
		if len(args) == 0 {
			return nil, "", false, errors.New("missing file operand")
		}
		return args, dir, true, nil
	}
	if len(args) < 2 {
		return nil, "", false, errors.New("missing file operand")
	}
	sources, dest = args[:len(args)-1], args[len(args)-1]
	if opts.has("T") {
		if len(sources) > 1 {
			return nil, "", false, fmt.Errorf("extra operand '%s'", args[2])
		}
		return sources, dest, false, nil
	}
	st, err := os.Stat(dest)
	if err == nil && linkIsFile {
		st, err = os.Lstat(dest)
	}
	intoDir = err == nil && st.IsDir()
	if !intoDir && len(sources) > 1 {
		return nil, "", false, fmt.Errorf("target '%s' is not a directory", dest)
	}
	return sources, dest, intoDir, nil
}

func mknod(c *Call) int {
	opts, ok := c.parse("m:", "mode=m")
	if !ok || len(c.Args) < 2 {
		return c.usage("usage: mknod [-m MODE] NAME b|c|u|p [MAJOR MINOR]")
	}
	kinds := map[string]uint32{"b": unix.S_IFBLK, "c": unix.S_IFCHR, "u": unix.S_IFCHR, "p": unix.S_IFIFO}
	kind, ok := kinds[c.Args[1]]
	if !ok || kind != unix.S_IFIFO && len(c.Args) != 4 {
		return c.usage("usage: mknod [-m MODE] NAME b|c|u|p [MAJOR MINOR]")
	}
	device := 0
	if kind != unix.S_IFIFO {
		major, err := strconv.ParseUint(c.Args[2], 0, 32)
		minor, err2 := strconv.ParseUint(c.Args[3], 0, 32)
		if err = errors.Join(err, err2); err != nil {
			return c.usage("invalid device number %s:%s", c.Args[2], c.Args[3])
		}
		device = int(unix.Mkdev(uint32(major), uint32(minor)))
	}
	return makeNode(c, opts, c.Args[0], kind, device)
}

func mkfifo(c *Call) int {
	opts, ok := c.parse("m:", "mode=m")
	if !ok {
		return 1
	}
	if len(c.Args) == 0 {
		return c.usage("missing operand")
	}
	for _, name := range c.Args {
		makeNode(c, opts, name, unix.S_IFIFO, 0)
	}
	return c.status
}

func makeNode(c *Call, opts options, name string, kind uint32, device int) int {
	mode, err := ChangeMode(opts.value('m', "666"), 0o666, umask())
	if err != nil {
		return c.usage("%v", err)
	}
	if err := unix.Mknod(name, kind|0o666, device); err != nil {
		return c.fail(name, err)
	}
	if opts.has("m") {
		if err := unix.Chmod(name, mode&0o7777); err != nil {
			return c.fail(name, err)
		}
	}
	return c.status
}

func mktemp(c *Call) int {
	opts, ok := c.parse("dup:tq", "directory=d", "dry-run=u", "tmpdir=p", "quiet=q")
	if !ok {
		return 1
	}
	template, dir := "tmp.XXXXXX", os.TempDir()
	if len(c.Args) > 0 {
		template, dir = filepath.Base(c.Args[0]), filepath.Dir(c.Args[0])
		if opts.has("t") {
			dir = os.TempDir()
		}
	}
	dir = opts.value('p', dir)
	prefix := strings.TrimRight(template, "X")
	if len(template)-len(prefix) < 3 {
		return c.usage("too few X's in template '%s'", template)
	}
	var name string
	var err error
	if opts.has("d") {
		name, err = os.MkdirTemp(dir, prefix+"*")
	} else {
		var f *os.File
		if f, err = os.CreateTemp(dir, prefix+"*"); err == nil {
			name = f.Name()
			f.Close()
		}
	}
	if err != nil {
		return c.fail("cannot create in "+dir, err)
	}
	if opts.has("u") {
		os.Remove(name)
	}
	if len(c.Args) > 0 && !strings.Contains(c.Args[0], "/") && dir == "." {
		name = filepath.Base(name)
	}
	fmt.Fprintln(c.Out, name)
	return 0
}
