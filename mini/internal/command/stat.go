// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const statDefault = `  File: %N
  Size: %s	Blocks: %b	IO Block: %o	%F
Device: %Dh/%dd	Inode: %i	Links: %h
Access: (%04a/%A)  Uid: (%u/%U)   Gid: (%g/%G)
Access: %x
Modify: %y
Change: %z
`

const statfsDefault = `  File: "%n"
    ID: %i Namelen: %l Type: %T
Block size: %s
Blocks: Total: %b Free: %f Available: %a
Inodes: Total: %c Free: %d
`

// stat prints what the format asks for; --printf adds no newline and knows the
// escapes.
func stat(c *Call) int {
	opts, ok := c.parse("c:fLP:t", "format=c", "printf=P", "dereference=L", "file-system=f")
	if !ok {
		return 1
	}
	if len(c.Args) == 0 {
		return c.usage("missing operand")
	}
	format := statDefault
	if opts.has("f") {
		format = statfsDefault
	}
	if opts.has("c") {
		format = opts.value('c', "") + "\n"
	}
	if opts.has("P") {
		format, _ = unescape(opts.value('P', ""), true)
	}
	for _, name := range c.Args {
		text, err := statText(name, format, opts)
		if err != nil {
			c.errorf("cannot stat '%s': %s", name, Reason(err))
			continue
		}
		c.Out.WriteString(text)
	}
	return c.status
}

func statText(name, format string, opts options) (string, error) {
	if opts.has("f") {
		var st unix.Statfs_t
		if err := unix.Statfs(name, &st); err != nil {
			return "", err
		}
		return expandFormat(format, func(verb string) string { return statfsField(name, &st, verb) }), nil
	}
	var st unix.Stat_t
	err := unix.Lstat(name, &st)
	if opts.has("L") {
		err = unix.Stat(name, &st)
	}
	if err != nil {
		return "", err
	}
	users, all := passwd(), groups()
	return expandFormat(format, func(verb string) string {
		switch verb {
		case "U":
			return users.name(st.Uid)
		case "G":
			return all.name(st.Gid)
		}
		return statField(name, &st, verb)
	}), nil
}

// expandFormat replaces each %X, with flags and width as in printf.
func expandFormat(format string, field func(verb string) string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(format, "%")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		flags := prefixOf(rest, "-+ 0#123456789.", len(rest))
		rest = rest[len(flags):]
		n := 1
		if rest == "" {
			return b.String() + "%" + flags
		}
		if (rest[0] == 'H' || rest[0] == 'L') && len(rest) > 1 && strings.IndexByte("rd", rest[1]) >= 0 {
			n = 2
		}
		value := rest[:n]
		if value != "%" {
			value = field(value)
		}
		b.WriteString(padField(value, flags))
		format = rest[n:]
	}
}

func padField(value, flags string) string {
	if flags == "" {
		return value
	}
	if n, err := strconv.Atoi(value); err == nil && strings.HasPrefix(flags, "0") {
		return fmt.Sprintf("%"+flags+"d", n)
	}
	width, _ := strconv.Atoi(strings.Trim(flags, "+ #."))
	return fmt.Sprintf("%*s", width, value)
}

func statField(name string, st *unix.Stat_t, verb string) string {
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	switch verb {
	case "a":
		return strconv.FormatUint(uint64(st.Mode&0o7777), 8)
	case "A":
		return modeString(st.Mode)
	case "b":
		return number(uint64(st.Blocks))
	case "B":
		return "512"
	case "d":
		return number(st.Dev)
	case "D":
		return strconv.FormatUint(st.Dev, 16)
	case "f":
		return strconv.FormatUint(uint64(st.Mode), 16)
	case "F":
		return kindName(st)
	case "g":
		return number(uint64(st.Gid))
	case "h":
		return number(uint64(st.Nlink))
	case "i":
		return number(st.Ino)
	case "m":
		return mountOf(name)
	case "n":
		return name
	case "N":
		return quotedName(name)
	case "o":
		return number(uint64(st.Blksize))
	case "r":
		return number(st.Rdev)
	case "s":
		return number(uint64(st.Size))
	case "t":
		return strconv.FormatUint(uint64(unix.Major(st.Rdev)), 16)
	case "T":
		return strconv.FormatUint(uint64(unix.Minor(st.Rdev)), 16)
	case "Hr", "Hd":
		return number(uint64(unix.Major(rdevOrDev(st, verb))))
	case "Lr", "Ld":
		return number(uint64(unix.Minor(rdevOrDev(st, verb))))
	case "u":
		return number(uint64(st.Uid))
	}
	return statTime(name, st, verb)
}

func rdevOrDev(st *unix.Stat_t, verb string) uint64 {
	if verb[1] == 'r' {
		return st.Rdev
	}
	return st.Dev
}

// statTime has x, y, z and w for people and X, Y, Z and W in seconds.
func statTime(name string, st *unix.Stat_t, verb string) string {
	var stamp unix.Timespec
	switch strings.ToLower(verb) {
	case "x":
		stamp = st.Atim
	case "y":
		stamp = st.Mtim
	case "z":
		stamp = st.Ctim
	case "w":
		var stx unix.Statx_t
		err := unix.Statx(unix.AT_FDCWD, name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME, &stx)
		if err != nil || stx.Mask&unix.STATX_BTIME == 0 {
			return map[string]string{"w": "-", "W": "0"}[verb]
		}
		stamp = unix.Timespec{Sec: stx.Btime.Sec, Nsec: int64(stx.Btime.Nsec)}
	default:
		return "?"
	}
	if verb == strings.ToUpper(verb) {
		return strconv.FormatInt(stamp.Sec, 10)
	}
	return time.Unix(stamp.Unix()).Format("2006-01-02 15:04:05.000000000 -0700")
}

func quotedName(name string) string {
	if target, err := os.Readlink(name); err == nil {
		return "'" + name + "' -> '" + target + "'"
	}
	return "'" + name + "'"
}

func statfsField(name string, st *unix.Statfs_t, verb string) string {
	switch verb {
	case "a":
		return strconv.FormatUint(st.Bavail, 10)
	case "b":
		return strconv.FormatUint(st.Blocks, 10)
	case "c":
		return strconv.FormatUint(st.Files, 10)
	case "d":
		return strconv.FormatUint(st.Ffree, 10)
	case "f":
		return strconv.FormatUint(st.Bfree, 10)
	case "i":
		return fmt.Sprintf("%x%08x", uint32(st.Fsid.Val[0]), uint32(st.Fsid.Val[1]))
	case "l":
		return strconv.FormatInt(st.Namelen, 10)
	case "n":
		return name
	case "s", "S":
		return strconv.FormatInt(st.Bsize, 10)
	case "t":
		return strconv.FormatInt(st.Type, 16)
	case "T":
		return filesystemName(st.Type)
	}
	return "?"
}

// filesystemName covers what is met in containers (statfs(2), "f_type").
func filesystemName(magic int64) string {
	switch magic {
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.PROC_SUPER_MAGIC:
		return "proc"
	case unix.SYSFS_MAGIC:
		return "sysfs"
	case unix.EXT4_SUPER_MAGIC:
		return "ext2/ext3"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.CGROUP2_SUPER_MAGIC:
		return "cgroup2fs"
	case unix.DEVPTS_SUPER_MAGIC:
		return "devpts"
	case unix.SQUASHFS_MAGIC:
		return "squashfs"
	case unix.FUSE_SUPER_MAGIC:
		return "fuseblk"
	case 0x19800202: // not in package unix
		return "mqueue"
	case 0xe0f5e1e2:
		return "erofs"
	}
	return "UNKNOWN (0x" + strconv.FormatInt(magic, 16) + ")"
}
