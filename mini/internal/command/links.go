// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func ln(c *Call) int {
	opts, ok := c.parse("sfnTvrt:", "symbolic=s", "force=f", "no-dereference=n", "no-target-directory=T", "verbose=v", "relative=r")
	if !ok {
		return 1
	}
	if len(c.Args) == 1 {
		c.Args = append(c.Args, ".")
	}
	sources, dest, intoDir, err := destination(c.Args, opts, opts.has("n"))
	if err != nil {
		return c.usage("%v", err)
	}
	for _, source := range sources {
		name := dest
		if intoDir {
			name = filepath.Join(dest, filepath.Base(source))
		}
		if err := makeLink(source, name, opts); err != nil {
			c.errorf("%s: %s", name, Reason(err))
		} else if opts.has("v") {
			fmt.Fprintf(c.Out, "'%s' -> '%s'\n", name, source)
		}
	}
	return c.status
}

func makeLink(source, name string, opts options) error {
	if opts.has("f") {
		if err := unix.Unlink(name); err != nil && err != unix.ENOENT {
			return err
		}
	}
	if !opts.has("s") {
		return unix.Linkat(unix.AT_FDCWD, source, unix.AT_FDCWD, name, 0)
	}
	if opts.has("r") {
		from, err := filepath.Abs(filepath.Dir(name))
		if err != nil {
			return err
		}
		to, err := filepath.Abs(source)
		if err != nil {
			return err
		}
		if source, err = filepath.Rel(from, to); err != nil {
			return err
		}
	}
	return os.Symlink(source, name)
}

func readlink(c *Call) int {
	opts, ok := c.parse("femnsvqz", "canonicalize=f", "canonicalize-existing=e", "canonicalize-missing=m", "no-newline=n")
	if !ok {
		return 1
	}
	if len(c.Args) == 0 {
		return c.usage("missing operand")
	}
	for _, name := range c.Args {
		var text string
		var err error
		if mode := opts.last("fem"); mode != 0 {
			text, err = canonical(name, mode)
		} else {
			text, err = os.Readlink(name)
		}
		if err != nil {
			c.status = 1 // quiet, as readlink is
			continue
		}
		c.Out.WriteString(text)
		if !opts.has("n") || len(c.Args) > 1 {
			c.Out.WriteByte('\n')
		}
	}
	return c.status
}

func realpath(c *Call) int {
	opts, ok := c.parse("emsqLPz", "canonicalize-existing=e", "canonicalize-missing=m")
	if !ok {
		return 1
	}
	if len(c.Args) == 0 {
		return c.usage("missing operand")
	}
	for _, name := range c.Args {
		text, err := canonical(name, opts.last("em"))
		if err != nil {
			c.fail(name, err)
			continue
		}
		fmt.Fprintln(c.Out, text)
	}
	return c.status
}

// canonical follows every link. With mode 'e' all must exist, with 'm' nothing
// need, else all but the last component.
func canonical(name string, mode byte) (string, error) {
	full, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(full)
	if err == nil || mode == 'e' || !errors.Is(err, os.ErrNotExist) {
		return resolved, err
	}
	if target, err := os.Readlink(full); err == nil { // a dangling link
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(full), target)
		}
		return canonical(target, mode)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(full))
	if err != nil && mode == 'm' {
		parent, err = canonical(filepath.Dir(full), mode)
	}
	return filepath.Join(parent, filepath.Base(full)), err
}
