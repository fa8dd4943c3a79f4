// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ChangeMode applies a chmod mode, octal or symbolic, to mode (with its file
// type bits). Where the symbolic form names no user, the umask holds.
func ChangeMode(text string, mode, umask uint32) (uint32, error) {
	if text != "" && strings.Trim(text, "01234567") == "" {
		n, err := strconv.ParseUint(text, 8, 32)
		if err != nil || n > 0o7777 {
			return 0, fmt.Errorf("invalid mode '%s'", text)
		}
		return mode&unix.S_IFMT | uint32(n), nil
	}
	for clause := range strings.SplitSeq(text, ",") {
		var err error
		if mode, err = changeClause(clause, mode, umask); err != nil {
			return 0, fmt.Errorf("invalid mode '%s'", text)
		}
	}
	return mode, nil
}

func changeClause(clause string, mode, umask uint32) (uint32, error) {
	who := prefixOf(clause, "ugoa", len(clause))
	rest := clause[len(who):]
	if rest == "" {
		return 0, os.ErrInvalid
	}
	for rest != "" {
		op := rest[0]
		if strings.IndexByte("+-=", op) < 0 {
			return 0, os.ErrInvalid
		}
		perms := prefixOf(rest[1:], "rwxXstugo", len(rest))
		rest = rest[1+len(perms):]
		mask := whoMask(who)
		bits := permBits(perms, mode) & mask
		if who == "" {
			bits &^= umask & 0o777
		}
		switch op {
		case '+':
			mode |= bits
		case '-':
			mode &^= bits
		case '=':
			mode = mode&^mask | bits
		}
	}
	return mode, nil
}

func whoMask(who string) (mask uint32) {
	if who == "" || strings.Contains(who, "a") {
		return 0o7777
	}
	for _, w := range who {
		switch w {
		case 'u':
			mask |= 0o4700
		case 'g':
			mask |= 0o2070
		case 'o':
			mask |= 0o1007
		}
	}
	return mask | 0o1000
}

func permBits(perms string, mode uint32) (bits uint32) {
	for _, p := range perms {
		switch p {
		case 'r':
			bits |= 0o444
		case 'w':
			bits |= 0o222
		case 'x':
			bits |= 0o111
		case 'X':
			if mode&unix.S_IFMT == unix.S_IFDIR || mode&0o111 != 0 {
				bits |= 0o111
			}
		case 's':
			bits |= 0o6000
		case 't':
			bits |= 0o1000
		case 'u':
			bits |= mode >> 6 & 7 * 0o111
		case 'g':
			bits |= mode >> 3 & 7 * 0o111
		case 'o':
			bits |= mode & 7 * 0o111
		}
	}
	return bits
}

// umask reads the mask, which umask(2) can only do by setting it.
func umask() uint32 {
	old := unix.Umask(0o77)
	unix.Umask(old)
	return uint32(old)
}

// takeMode sets aside a mode that looks like an option, such as -w.
func (c *Call) takeMode() (mode string) {
	for i, arg := range c.Args {
		if len(arg) > 1 && arg[0] == '-' && arg[1] != '-' && strings.Trim(arg[1:], "rwxXst,ugoa+-=") == "" {
			c.Args = append(append([]string{}, c.Args[:i]...), c.Args[i+1:]...)
			return arg
		}
	}
	return ""
}

func chmod(c *Call) int {
	mode := c.takeMode()
	opts, ok := c.parse("RvcfF:", "recursive=R", "reference=F")
	if !ok {
		return 1
	}
	if name := opts.value('F', ""); name != "" {
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err != nil {
			return c.fail(name, err)
		}
		mode = strconv.FormatUint(uint64(st.Mode&0o7777), 8)
	}
	if mode == "" && len(c.Args) > 0 {
		mode, c.Args = c.Args[0], c.Args[1:]
	}
	if len(c.Args) == 0 {
		return c.usage("missing operand")
	}
	mask := umask()
	if _, err := ChangeMode(mode, 0, mask); err != nil {
		return c.usage("%v", err)
	}
	c.eachTree(c.Args, opts.has("R"), func(name string, st *unix.Stat_t) error {
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			if opts.has("R") {
				return nil
			}
			if err := unix.Stat(name, st); err != nil {
				return err
			}
		}
		bits, _ := ChangeMode(mode, st.Mode, mask)
		return unix.Chmod(name, bits&0o7777)
	})
	return c.status
}

// eachTree calls f with each name and, if recursive, all beneath it, a
// directory after its content: it might no longer be readable afterwards.
// Symbolic links are not followed.
func (c *Call) eachTree(names []string, recursive bool, f func(string, *unix.Stat_t) error) {
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			c.fail(name, err)
			continue
		}
		if recursive && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			entries, err := os.ReadDir(name)
			if err != nil {
				c.fail(name, err)
			}
			var beneath []string
			for _, entry := range entries {
				beneath = append(beneath, filepath.Join(name, entry.Name()))
			}
			c.eachTree(beneath, true, f)
		}
		if err := f(name, &st); err != nil {
			c.fail(name, err)
		}
	}
}

// modeString is the mode as ls writes it.
func modeString(mode uint32) string {
	b := []byte("?rwxrwxrwx")
	for kind, letter := range map[uint32]byte{unix.S_IFREG: '-', unix.S_IFDIR: 'd', unix.S_IFLNK: 'l',
		unix.S_IFCHR: 'c', unix.S_IFBLK: 'b', unix.S_IFIFO: 'p', unix.S_IFSOCK: 's'} {
		if mode&unix.S_IFMT == kind {
			b[0] = letter
		}
	}
	for i := range 9 {
		if mode&(0o400>>i) == 0 {
			b[1+i] = '-'
		}
	}
	for _, special := range []struct {
		bit    uint32
		at     int
		letter byte
	}{{unix.S_ISUID, 3, 's'}, {unix.S_ISGID, 6, 's'}, {unix.S_ISVTX, 9, 't'}} {
		if mode&special.bit == 0 {
			continue
		}
		if b[special.at] == '-' {
			b[special.at] = special.letter - 'a' + 'A'
		} else {
			b[special.at] = special.letter
		}
	}
	return string(b)
}

// kindName is the type as stat writes it.
func kindName(st *unix.Stat_t) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if st.Size == 0 {
			return "regular empty file"
		}
		return "regular file"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symbolic link"
	case unix.S_IFCHR:
		return "character special file"
	case unix.S_IFBLK:
		return "block special file"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "weird file"
}
