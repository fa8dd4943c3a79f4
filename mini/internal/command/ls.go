// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

type listing struct {
	call          *Call
	opts          options
	users, groups *names
	terminal      bool
	width         int
	now           time.Time
}

// item is one line of a listing. When stat fails the error is kept: the name
// is still listed.
type item struct {
	name, path string
	st         unix.Stat_t
	link       string
}

func ls(c *Call) int {
	opts, ok := c.parse("aAlhdiRrtSFp1Cnogscukx", "all=a", "almost-all=A", "recursive=R", "human-readable=h",
		"directory=d", "inode=i", "reverse=r", "numeric-uid-gid=n", "color=u", "full-time=k", "time-style=u")
	if !ok {
		return 2
	}
	l := &listing{call: c, opts: opts, users: passwd(), groups: groups(), now: time.Now(), width: 80}
	if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil {
		l.terminal, l.width = true, max(int(size.Col), 20)
	}
	names := c.Args
	if len(names) == 0 {
		names = []string{"."}
	}
	var files, dirs []item
	for _, name := range names {
		it, err := l.look(name, name, !l.long() && !opts.has("dF"))
		switch {
		case err != nil:
			c.errorf("%s: %s", name, Reason(err))
			c.status = 2
		case it.st.Mode&unix.S_IFMT == unix.S_IFDIR && !opts.has("d"):
			dirs = append(dirs, it)
		default:
			files = append(files, it)
		}
	}
	l.sort(files)
	l.sort(dirs)
	l.print(files)
	for i, dir := range dirs {
		if len(files) > 0 || i > 0 {
			fmt.Fprintln(c.Out)
		}
		l.directory(dir.path, len(names) > 1 || opts.has("R"))
	}
	return c.status
}

func (l *listing) long() bool { return l.opts.has("lnogk") }

func (l *listing) look(name, path string, follow bool) (it item, err error) {
	it = item{name: name, path: path}
	if follow && unix.Stat(path, &it.st) == nil {
		return it, nil
	}
	if err = unix.Lstat(path, &it.st); err != nil {
		return it, err
	}
	if it.st.Mode&unix.S_IFMT == unix.S_IFLNK {
		it.link, _ = os.Readlink(path)
	}
	return it, nil
}

func (l *listing) directory(dir string, title bool) {
	if title {
		fmt.Fprintf(l.call.Out, "%s:\n", dir)
	}
	items, err := l.items(dir)
	if err != nil {
		l.call.fail(dir, err)
	}
	l.sort(items)
	if l.long() || l.opts.has("s") {
		var blocks int64
		for _, it := range items {
			blocks += it.st.Blocks
		}
		fmt.Fprintf(l.call.Out, "total %s\n", l.size(blocks*512, 1024))
	}
	l.print(items)
	if l.opts.has("R") {
		for _, it := range items {
			if it.st.Mode&unix.S_IFMT == unix.S_IFDIR && it.name != "." && it.name != ".." {
				fmt.Fprintln(l.call.Out)
				l.directory(it.path, true)
			}
		}
	}
}

// items reads the directory by plain system calls and holds it open until it
// has looked at every entry: `ls /proc/self/fd` shows this one descriptor, and
// none of what package os opens for its poller.
func (l *listing) items(dir string) (items []item, err error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if l.opts.last("aA") == 'a' {
		items = l.add(items, ".", dir)
		items = l.add(items, "..", dir)
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if n <= 0 || err != nil {
			return items, err
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			if name[0] != '.' || l.opts.has("aA") {
				items = l.add(items, name, dir)
			}
		}
	}
}

func (l *listing) add(items []item, name, dir string) []item {
	joined := strings.TrimSuffix(dir, "/") + "/" + name
	it, err := l.look(name, joined, false)
	if err != nil {
		l.call.fail(joined, err)
	}
	return append(items, it)
}

func (l *listing) sort(items []item) {
	slices.SortStableFunc(items, func(a, b item) int {
		order := 0
		switch l.opts.last("tS") {
		case 't':
			order = cmp.Compare(b.st.Mtim.Nano(), a.st.Mtim.Nano())
		case 'S':
			order = cmp.Compare(b.st.Size, a.st.Size)
		}
		if order == 0 {
			order = cmp.Compare(a.name, b.name)
		}
		if l.opts.has("r") {
			return -order
		}
		return order
	})
}

// size is n bytes in units, or for people with -h.
func (l *listing) size(n, unit int64) string {
	if l.opts.has("h") {
		return humanSize(n)
	}
	return strconv.FormatInt(n/unit, 10)
}

func (l *listing) print(items []item) {
	switch {
	case l.long():
		l.printLong(items)
	case l.opts.has("1") || !l.terminal && !l.opts.has("Cx"):
		for _, it := range items {
			fmt.Fprintln(l.call.Out, l.prefix(it)+l.shown(it))
		}
	default:
		l.printColumns(items)
	}
}

// prefix is the inode and the blocks, where asked for.
func (l *listing) prefix(it item) (text string) {
	if l.opts.has("i") {
		text = fmt.Sprintf("%7d ", it.st.Ino)
	}
	if l.opts.has("s") {
		text += fmt.Sprintf("%4s ", l.size(it.st.Blocks*512, 1024))
	}
	return text
}

// shown is the name; on a terminal what could move the cursor is replaced.
func (l *listing) shown(it item) string {
	name := it.name
	if l.terminal {
		name = strings.Map(func(r rune) rune {
			if r < 32 || r == 127 {
				return '?'
			}
			return r
		}, name)
	}
	return name + l.mark(it)
}

func (l *listing) mark(it item) string {
	kind := it.st.Mode & unix.S_IFMT
	switch {
	case kind == unix.S_IFDIR && l.opts.has("Fp"):
		return "/"
	case !l.opts.has("F"):
	case kind == unix.S_IFLNK && !l.long():
		return "@"
	case kind == unix.S_IFIFO:
		return "|"
	case kind == unix.S_IFSOCK:
		return "="
	case kind == unix.S_IFREG && it.st.Mode&0o111 != 0:
		return "*"
	}
	return ""
}

func (l *listing) printLong(items []item) {
	rows := make([][]string, 0, len(items))
	for _, it := range items {
		rows = append(rows, l.row(it))
	}
	widths := make([]int, 5)
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], len(row[i]))
		}
	}
	for i, row := range rows {
		fmt.Fprint(l.call.Out, l.prefix(items[i]), row[0], " ", pad(row[1], -widths[1]))
		for column, skip := range []bool{2: l.opts.has("g"), 3: l.opts.has("o")} {
			if column >= 2 && !skip {
				fmt.Fprint(l.call.Out, " ", pad(row[column], widths[column]))
			}
		}
		fmt.Fprintln(l.call.Out, "", pad(row[4], -widths[4]), row[5], row[6])
	}
}

// row is mode, links, owner, group, size, time, name.
func (l *listing) row(it item) []string {
	owner, group := l.users.name(it.st.Uid), l.groups.name(it.st.Gid)
	if l.opts.has("n") {
		owner, group = strconv.Itoa(int(it.st.Uid)), strconv.Itoa(int(it.st.Gid))
	}
	size := l.size(it.st.Size, 1)
	if kind := it.st.Mode & unix.S_IFMT; kind == unix.S_IFCHR || kind == unix.S_IFBLK {
		size = fmt.Sprintf("%d, %3d", unix.Major(it.st.Rdev), unix.Minor(it.st.Rdev))
	}
	name := l.shown(it)
	if it.link != "" {
		name += " -> " + it.link
	}
	return []string{modeString(it.st.Mode), strconv.FormatUint(uint64(it.st.Nlink), 10), owner, group, size, l.time(it), name}
}

func (l *listing) time(it item) string {
	stamp := it.st.Mtim
	switch l.opts.last("cu") {
	case 'c':
		stamp = it.st.Ctim
	}
	t := time.Unix(stamp.Unix())
	switch age := l.now.Sub(t); {
	case l.opts.has("k"):
		return t.Format("2006-01-02 15:04:05.000000000 -0700")
	case age > 182*24*time.Hour || age < -time.Hour:
		return t.Format("Jan _2  2006")
	}
	return t.Format("Jan _2 15:04")
}

// pad is fmt's %*s: a negative width puts the text at the right.
func pad(text string, width int) string { return fmt.Sprintf("%*s", -width, text) }

func (l *listing) printColumns(items []item) {
	widest := 0
	var texts []string
	for _, it := range items {
		text := l.prefix(it) + l.shown(it)
		texts = append(texts, text)
		widest = max(widest, len(text)+2)
	}
	if len(texts) == 0 {
		return
	}
	columns := max(l.width/widest, 1)
	rows := (len(texts) + columns - 1) / columns
	for row := range rows {
		line := ""
		for i := row; i < len(texts); i += rows {
			line += pad(texts[i], widest)
		}
		fmt.Fprintln(l.call.Out, strings.TrimRight(line, " "))
	}
}
