// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// names reads /etc/passwd or /etc/group once and answers in both directions.
type names struct {
	file  string
	lines [][]string
	read  bool
}

func passwd() *names { return &names{file: "/etc/passwd"} }
func groups() *names { return &names{file: "/etc/group"} }

func (n *names) load() {
	if n.read {
		return
	}
	n.read = true
	text, _ := os.ReadFile(n.file)
	for line := range strings.SplitSeq(string(text), "\n") {
		if fields := strings.Split(line, ":"); len(fields) > 3 {
			n.lines = append(n.lines, fields)
		}
	}
}

// name is what id is called, or the number itself.
func (n *names) name(id uint32) string {
	n.load()
	text := strconv.FormatUint(uint64(id), 10)
	for _, line := range n.lines {
		if line[2] == text {
			return line[0]
		}
	}
	return text
}

// id is the number of a name; a number is itself.
func (n *names) id(name string) (uint32, error) {
	n.load()
	for _, line := range n.lines {
		if line[0] == name {
			id, err := strconv.ParseUint(line[2], 10, 32)
			return uint32(id), err
		}
	}
	id, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("unknown name '%s'", name)
	}
	return uint32(id), nil
}

func (n *names) entry(name string) []string {
	n.load()
	for _, line := range n.lines {
		if line[0] == name {
			return line
		}
	}
	return nil
}

// id prints who runs it, or who the user named is.
func id(c *Call) int {
	opts, ok := c.parse("ugGnr", "user=u", "group=g", "groups=G", "name=n", "real=r")
	if !ok {
		return 1
	}
	users, all := passwd(), groups()
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	if opts.has("r") {
		uid, gid = uint32(os.Getuid()), uint32(os.Getgid())
	}
	more, _ := os.Getgroups()
	if len(c.Args) > 0 {
		entry := users.entry(c.Args[0])
		if entry == nil {
			return c.errorf("'%s': no such user", c.Args[0])
		}
		uid, _ = users.id(entry[0])
		gid, _ = (&names{}).id(entry[3])
		more = memberOf(all, entry[0])
	}
	list := append([]uint32{gid}, without(more, gid)...)
	switch show := nameOrNumber(opts.has("n")); opts.last("ugG") {
	case 'u':
		fmt.Fprintln(c.Out, show(users, uid))
	case 'g':
		fmt.Fprintln(c.Out, show(all, gid))
	case 'G':
		var texts []string
		for _, g := range list {
			texts = append(texts, show(all, g))
		}
		fmt.Fprintln(c.Out, strings.Join(texts, " "))
	default:
		fmt.Fprintf(c.Out, "uid=%s gid=%s groups=%s\n", numbered(users, uid), numbered(all, gid), numberedList(all, list))
	}
	return c.status
}

func nameOrNumber(name bool) func(*names, uint32) string {
	return func(n *names, id uint32) string {
		if name {
			return n.name(id)
		}
		return strconv.FormatUint(uint64(id), 10)
	}
}

func without(groups []int, gid uint32) (rest []uint32) {
	for _, g := range groups {
		if uint32(g) != gid && !slices.Contains(rest, uint32(g)) {
			rest = append(rest, uint32(g))
		}
	}
	return rest
}

func memberOf(all *names, user string) (ids []int) {
	all.load()
	for _, line := range all.lines {
		if slices.Contains(strings.Split(line[3], ","), user) {
			if id, err := strconv.Atoi(line[2]); err == nil {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func numbered(n *names, id uint32) string {
	if name := n.name(id); name != strconv.FormatUint(uint64(id), 10) {
		return fmt.Sprintf("%d(%s)", id, name)
	}
	return strconv.FormatUint(uint64(id), 10)
}

func numberedList(n *names, ids []uint32) string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, numbered(n, id))
	}
	return strings.Join(texts, ",")
}

func whoami(c *Call) int {
	fmt.Fprintln(c.Out, passwd().name(uint32(os.Geteuid())))
	return 0
}

// ownerSpec is USER, USER:GROUP, USER: or :GROUP; -1 leaves an id as it is.
func ownerSpec(text string) (uid, gid int, err error) {
	user, group, both := strings.Cut(text, ":")
	if !both {
		if _, err := passwd().id(text); err != nil {
			user, group, both = strings.Cut(text, ".")
		}
	}
	uid, gid = -1, -1
	if user != "" {
		id, err := passwd().id(user)
		if err != nil {
			return 0, 0, fmt.Errorf("unknown user %s", user)
		}
		uid = int(id)
	}
	switch {
	case group != "":
		id, err := groups().id(group)
		if err != nil {
			return 0, 0, fmt.Errorf("unknown group %s", group)
		}
		gid = int(id)
	case both && user != "":
		if entry := passwd().entry(user); entry != nil {
			gid, _ = strconv.Atoi(entry[3])
		}
	}
	return uid, gid, nil
}

func chown(c *Call) int {
	return changeOwner(c, ownerSpec)
}

func chgrp(c *Call) int {
	return changeOwner(c, func(text string) (int, int, error) {
		id, err := groups().id(text)
		return -1, int(id), err
	})
}

func changeOwner(c *Call, parse func(string) (int, int, error)) int {
	opts, ok := c.parse("RhHLPvcfr:", "recursive=R", "no-dereference=h", "reference=r")
	if !ok {
		return 1
	}
	var uid, gid int
	var err error
	if name := opts.value('r', ""); name != "" {
		var st unix.Stat_t
		err = unix.Stat(name, &st)
		uid, gid = int(st.Uid), int(st.Gid)
	} else if len(c.Args) > 0 {
		uid, gid, err = parse(c.Args[0])
		c.Args = c.Args[1:]
	}
	if err != nil {
		return c.errorf("%s", Reason(err))
	}
	if len(c.Args) == 0 {
		return c.usage("missing operand")
	}
	c.eachTree(c.Args, opts.has("R"), func(name string, st *unix.Stat_t) error {
		if opts.has("h") || opts.has("R") && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return os.Lchown(name, uid, gid)
		}
		return os.Chown(name, uid, gid)
	})
	return c.status
}
