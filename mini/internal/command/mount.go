// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mounted is a line of /proc/mounts.
type mounted struct{ source, target, fstype, options string }

func mounts() ([]mounted, error) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var all []mounted
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.SplitSeq(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 3 {
			all = append(all, mounted{plain.Replace(f[0]), plain.Replace(f[1]), f[2], f[3]})
		}
	}
	return all, nil
}

// mountOf is the mount point name is on.
func mountOf(name string) string {
	all, err := mounts()
	full, err2 := filepath.EvalSymlinks(name)
	if errors.Join(err, err2) != nil {
		return "?"
	}
	full, _ = filepath.Abs(full)
	best := "/"
	for _, m := range all {
		if len(m.target) > len(best) && (full == m.target || strings.HasPrefix(full, m.target+"/")) {
			best = m.target
		}
	}
	return best
}

// mountFlags are the options that are flags of mount(2); false ones clear.
func mountFlag(option string) (flag uintptr, set, known bool) {
	switch option {
	case "defaults", "rw", "suid", "dev", "exec", "async", "atime", "auto", "noauto", "nofail":
		clears := map[string]uintptr{"rw": unix.MS_RDONLY, "suid": unix.MS_NOSUID, "dev": unix.MS_NODEV, "exec": unix.MS_NOEXEC}
		return clears[option], false, true
	case "ro":
		return unix.MS_RDONLY, true, true
	case "nosuid":
		return unix.MS_NOSUID, true, true
	case "nodev":
		return unix.MS_NODEV, true, true
	case "noexec":
		return unix.MS_NOEXEC, true, true
	case "sync":
		return unix.MS_SYNCHRONOUS, true, true
	case "remount":
		return unix.MS_REMOUNT, true, true
	case "bind":
		return unix.MS_BIND, true, true
	case "rbind":
		return unix.MS_BIND | unix.MS_REC, true, true
	case "noatime":
		return unix.MS_NOATIME, true, true
	case "nodiratime":
		return unix.MS_NODIRATIME, true, true
	case "relatime":
		return unix.MS_RELATIME, true, true
	case "move":
		return unix.MS_MOVE, true, true
	case "private":
		return unix.MS_PRIVATE, true, true
	case "rprivate":
		return unix.MS_PRIVATE | unix.MS_REC, true, true
	case "shared":
		return unix.MS_SHARED, true, true
	case "rshared":
		return unix.MS_SHARED | unix.MS_REC, true, true
	case "slave":
		return unix.MS_SLAVE, true, true
	case "rslave":
		return unix.MS_SLAVE | unix.MS_REC, true, true
	}
	return 0, false, false
}

// mountWords are the long options that stand for an option of -o.
var mountWords = [...]string{"bind", "rbind", "move", "make-private", "make-rprivate", "make-shared", "make-rshared", "make-slave", "make-rslave"}

func mount(c *Call) int {
	var words []string
	c.Args = slices.DeleteFunc(c.Args, func(arg string) bool {
		word := strings.TrimPrefix(arg, "--")
		if word == arg || !slices.Contains(mountWords[:], word) {
			return false
		}
		words = append(words, strings.TrimPrefix(word, "make-"))
		return true
	})
	opts, ok := c.parse("t:o:rwnvaBR", "types=t", "options=o", "read-only=r")
	if !ok {
		return 1
	}
	for _, text := range opts.values('o') {
		words = append(words, strings.Split(text, ",")...)
	}
	if opts.has("r") {
		words = append(words, "ro")
	}
	if opts.has("B") {
		words = append(words, "bind")
	}
	if len(c.Args) == 0 {
		return mountList(c, opts.value('t', ""))
	}
	source, target := "none", c.Args[0]
	if len(c.Args) > 1 {
		source, target = c.Args[0], c.Args[1]
	}
	if err := mountOne(source, target, opts.value('t', ""), words); err != nil {
		return c.errorf("mounting %s on %s failed: %s", source, target, Reason(err))
	}
	return 0
}

func mountList(c *Call, fstype string) int {
	all, err := mounts()
	if err != nil {
		return c.fail("/proc/mounts", err)
	}
	for _, m := range all {
		if fstype == "" || fstype == m.fstype {
			fmt.Fprintf(c.Out, "%s on %s type %s (%s)\n", m.source, m.target, m.fstype, m.options)
		}
	}
	return 0
}

func mountOne(source, target, fstype string, words []string) error {
	var flags uintptr
	var data []string
	for _, word := range words {
		flag, set, known := mountFlag(word)
		switch {
		case !known:
			data = append(data, word)
		case set:
			flags |= flag
		default:
			flags &^= flag
		}
	}
	err := unix.Mount(source, target, fstype, flags, strings.Join(data, ","))
	// A bind mount takes other flags only in a second call (mount(2)).
	const more = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err == nil && flags&unix.MS_BIND != 0 && flags&more != 0 && flags&unix.MS_REMOUNT == 0 {
		err = unix.Mount(source, target, fstype, flags|unix.MS_REMOUNT, "")
	}
	return err
}

func umount(c *Call) int {
	opts, ok := c.parse("lfarRnvd", "lazy=l", "force=f", "all=a", "recursive=R")
	if !ok {
		return 1
	}
	targets := c.Args
	if opts.has("R") {
		targets = nil
		for _, name := range c.Args {
			targets = append(targets, mountsBeneath(name)...)
		}
	}
	if len(targets) == 0 {
		return c.usage("missing operand")
	}
	flags := 0
	if opts.has("l") {
		flags |= unix.MNT_DETACH
	}
	if opts.has("f") {
		flags |= unix.MNT_FORCE
	}
	for _, name := range targets {
		if err := unix.Unmount(name, flags); err != nil {
			c.errorf("can't unmount %s: %s", name, Reason(err))
		}
	}
	return c.status
}

// mountsBeneath are name's mount and those under it, deepest first.
func mountsBeneath(name string) (targets []string) {
	full, err := filepath.Abs(name)
	all, err2 := mounts()
	if errors.Join(err, err2) != nil {
		return []string{name}
	}
	for _, m := range slices.Backward(all) {
		if m.target == full || strings.HasPrefix(m.target, strings.TrimSuffix(full, "/")+"/") {
			targets = append(targets, m.target)
		}
	}
	return targets
}

// mountpoint's status is 0 where the name is one.
func mountpoint(c *Call) int {
	opts, ok := c.parse("qdn")
	if !ok || len(c.Args) != 1 {
		return c.usage("usage: mountpoint [-q] NAME")
	}
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, c.Args[0], unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS, &st)
	is := err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	switch {
	case opts.has("q"):
	case err != nil:
		c.fail(c.Args[0], err)
	case is:
		fmt.Fprintf(c.Out, "%s is a mountpoint\n", c.Args[0])
	default:
		fmt.Fprintf(c.Out, "%s is not a mountpoint\n", c.Args[0])
	}
	if is {
		return 0
	}
	return 1
}

func df(c *Call) int {
	opts, ok := c.parse("hkmTPiat:", "human-readable=h", "print-type=T", "inodes=i", "all=a", "portability=P")
	if !ok {
		return 1
	}
	all, err := mounts()
	if err != nil {
		return c.fail("/proc/mounts", err)
	}
	if len(c.Args) > 0 {
		all = mountsOf(c, all)
	}
	rows := [][]string{dfTitles(opts)}
	for _, m := range all {
		var st unix.Statfs_t
		if err := unix.Statfs(m.target, &st); err != nil || st.Blocks == 0 && len(c.Args) == 0 && !opts.has("a") {
			continue
		}
		rows = append(rows, dfRow(opts, m, &st))
	}
	printTable(c, rows)
	return c.status
}

func mountsOf(c *Call, all []mounted) (some []mounted) {
	for _, name := range c.Args {
		if _, err := os.Lstat(name); err != nil {
			c.fail(name, err)
			continue
		}
		target := mountOf(name)
		for _, m := range slices.Backward(all) { // the topmost is the last
			if m.target == target {
				some = append(some, m)
				break
			}
		}
	}
	return some
}

func dfTitles(opts options) []string {
	titles := []string{"Filesystem"}
	if opts.has("T") {
		titles = append(titles, "Type")
	}
	switch {
	case opts.has("i"):
		return append(titles, "Inodes", "IUsed", "IFree", "IUse%", "Mounted on")
	case opts.last("hkm") == 'h':
		return append(titles, "Size", "Used", "Available", "Use%", "Mounted on")
	case opts.last("hkm") == 'm':
		return append(titles, "1M-blocks", "Used", "Available", "Use%", "Mounted on")
	}
	return append(titles, "1K-blocks", "Used", "Available", "Use%", "Mounted on")
}

func dfRow(opts options, m mounted, st *unix.Statfs_t) []string {
	row := []string{m.source}
	if opts.has("T") {
		row = append(row, m.fstype)
	}
	total, free, available := st.Blocks, st.Bfree, st.Bavail
	show := func(blocks uint64) string {
		bytes := int64(blocks) * st.Bsize
		switch opts.last("hkm") {
		case 'h':
			return humanSize(bytes)
		case 'm':
			return strconv.FormatInt(bytes>>20, 10)
		}
		return strconv.FormatInt(bytes>>10, 10)
	}
	if opts.has("i") {
		total, free, available = st.Files, st.Ffree, st.Ffree
		show = func(n uint64) string { return strconv.FormatUint(n, 10) }
	}
	used, percent := total-free, "-"
	if sum := used + available; sum > 0 {
		percent = strconv.FormatUint((used*100+sum-1)/sum, 10) + "%"
	}
	return append(row, show(total), show(used), show(available), percent, m.target)
}
