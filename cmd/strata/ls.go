// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
	"strata/internal/cli"
	"strata/internal/engine"
)

func newLsCommand() *cli.Command {
	var o lsOptions
	format := "table"
	c := &cli.Command{
		Use:   "ls [OPTIONS] IMAGE|CONTAINER [PATH]",
		Short: "List files of an image or a container",
		Long:  "List files of an image or a container, without running or mounting it. Links are resolved inside; a link at the end of PATH is followed unless -l is given or PATH names no directory.",
		Min:   1, Max: 2,
		Run: func(args []string) error {
			if format != "table" && format != "json" {
				return usage(fmt.Errorf("ls: --format %s: it is table or json", format))
			}
			o.json = format == "json"
			return withLook(args[0], func(l *engine.Look) error {
				return ls(l, strings.Join(args[1:], ""), o)
			})
		},
		Complete: completeFirst(completeContainersAndImages),
	}
	c.Flags().BoolVar(&o.long, "long", "l", "mode, links, owner, group, size and time too")
	c.Flags().BoolVar(&o.all, "all", "a", "names that begin with a dot too")
	c.Flags().BoolVar(&o.recursive, "recursive", "R", "directories and what is beneath them")
	c.Flags().StringVar(&format, "format", "", "FORMAT", "output: table, or json with one object for each entry")
	return c
}

type lsOptions struct{ long, all, recursive, json bool }

// withLook opens an image or a container for one call.
func withLook(name string, f func(*engine.Look) error) error {
	return withEngine(func(e *engine.Engine) error {
		l, err := e.Look(name)
		if err != nil {
			return err
		}
		return errors.Join(f(l), l.Close())
	})
}

// completeFirst completes the first argument only.
func completeFirst(complete func([]string) []string) func([]string) []string {
	return func(args []string) []string {
		if len(args) > 0 {
			return nil
		}
		return complete(args)
	}
}

func ls(l *engine.Look, path string, o lsOptions) error {
	n, err := lsNode(l, path, o.long)
	if err != nil {
		return fmt.Errorf("ls: %w", err)
	}
	defer n.Close()
	w := bufio.NewWriterSize(os.Stdout, 64<<10)
	p := newLsPrinter(l, w, o)
	err = n.List(engine.ListOptions{Recursive: o.recursive, All: o.all, NoStat: !o.long && !o.json}, p.directory, p.entry)
	p.flush()
	err = errors.Join(err, w.Flush())
	if err != nil {
		return fmt.Errorf("ls: %w", err)
	}
	return nil
}

// lsNode finds what is listed, as ls(1) does: a link to a directory is followed
// unless it is the link that is described.
func lsNode(l *engine.Look, path string, long bool) (*engine.Node, error) {
	n, err := l.Find(path, false)
	if err != nil || long || n.Stat.Mode&unix.S_IFMT != unix.S_IFLNK {
		return n, err
	}
	if to, err := l.Find(path, true); err == nil {
		if to.IsDir() {
			return to, n.Close()
		}
		to.Close()
	}
	return n, nil
}

// lsPrinter prints what List lists.
type lsPrinter struct {
	o             lsOptions
	out           *bufio.Writer
	rows          []lsRow // of one directory
	json          *json.Encoder
	users, groups map[uint32]string
	directories   int
	onTerminal    bool
}

func newLsPrinter(l *engine.Look, w *bufio.Writer, o lsOptions) *lsPrinter {
	p := &lsPrinter{o: o, out: w, json: json.NewEncoder(w), onTerminal: isTerminal(os.Stdout)}
	p.json.SetEscapeHTML(false)
	if o.long && !o.json {
		p.users, p.groups = l.Owners()
	}
	return p
}

// directory prints a heading where there may be several.
func (p *lsPrinter) directory(path string) error {
	if !p.o.recursive || p.o.json {
		return nil
	}
	p.flush()
	if p.directories++; p.directories > 1 {
		p.out.WriteByte('\n')
	}
	_, err := p.out.WriteString(p.show(path) + ":\n")
	return err
}

func (p *lsPrinter) entry(e engine.Listed) error {
	switch {
	case p.o.json:
		return p.json.Encode(lsDocumentOf(e))
	case !p.o.long:
		_, err := p.out.WriteString(p.show(e.Name) + "\n")
		return err
	}
	name := p.show(e.Name)
	if e.Target != "" {
		name += " -> " + p.show(e.Target)
	}
	size := strconv.FormatInt(e.Stat.Size, 10)
	if isDevice(&e.Stat) {
		size = fmt.Sprintf("%d,%d", unix.Major(e.Stat.Rdev), unix.Minor(e.Stat.Rdev))
	}
	p.rows = append(p.rows, lsRow{
		modeString(e.Stat.Mode), strconv.FormatUint(uint64(e.Stat.Nlink), 10), owner(p.users, e.Stat.Uid), owner(p.groups, e.Stat.Gid),
		size, mtime(&e.Stat).Format("2006-01-02 15:04"), name,
	})
	return nil
}

// lsRow is a line of a long list: mode, links, owner, group, size, time and name.
type lsRow [7]string

// flush prints the rows of one directory. A name may hold what text/tabwriter
// would take for its own.
func (p *lsPrinter) flush() {
	var width [len(lsRow{})]int
	for _, r := range p.rows {
		for i := range width {
			width[i] = max(width[i], len(r[i]))
		}
	}
	for _, r := range p.rows {
		fmt.Fprintf(p.out, "%s %*s %-*s %-*s %*s %s %s\n",
			r[0], width[1], r[1], width[2], r[2], width[3], r[3], width[4], r[4], r[5], r[6])
	}
	p.rows = p.rows[:0]
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

func owner(names map[uint32]string, id uint32) string {
	if name := names[id]; name != "" && strings.IndexFunc(name, isControl) < 0 {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 }

// show is a name as it is, or on a terminal, which might obey it, with question
// marks for control characters, as ls(1) has it.
func (p *lsPrinter) show(name string) string {
	if !p.onTerminal {
		return name
	}
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return '?'
		}
		return r
	}, name)
}

func isDevice(st *unix.Stat_t) bool {
	kind := st.Mode & unix.S_IFMT
	return kind == unix.S_IFCHR || kind == unix.S_IFBLK
}

func mtime(st *unix.Stat_t) time.Time { return time.Unix(st.Mtim.Unix()).UTC() }

// modeString is a mode as ls(1) prints it: "drwxr-xr-x".
func modeString(mode uint32) string {
	const rwx = "rwxrwxrwx"
	text := []byte("?---------")
	text[0] = map[uint32]byte{
		unix.S_IFREG: '-', unix.S_IFDIR: 'd', unix.S_IFLNK: 'l', unix.S_IFCHR: 'c',
		unix.S_IFBLK: 'b', unix.S_IFIFO: 'p', unix.S_IFSOCK: 's',
	}[mode&unix.S_IFMT]
	for i := range rwx {
		if mode&(1<<(8-i)) != 0 {
			text[1+i] = rwx[i]
		}
	}
	for i, special := range []byte("sst") { // in place of an x, or as a capital without one
		if mode&(unix.S_ISUID>>i) == 0 {
			continue
		}
		at := 3 * (i + 1)
		if text[at] == '-' {
			special -= 'a' - 'A'
		}
		text[at] = special
	}
	return string(text)
}

// lsDocument is one line of JSON.
type lsDocument struct {
	Path   string
	Type   string // file, directory, symlink, character device, block device, fifo, socket
	Mode   string // octal: "0755"
	UID    uint32
	GID    uint32
	Size   int64
	Mtime  time.Time
	Links  uint64
	Inode  uint64
	Target string  `json:",omitempty"`
	Major  *uint32 `json:",omitempty"`
	Minor  *uint32 `json:",omitempty"`
}

func lsDocumentOf(e engine.Listed) lsDocument {
	st := &e.Stat
	d := lsDocument{
		Path: e.Path, Type: typeNames[st.Mode&unix.S_IFMT], Mode: fmt.Sprintf("%04o", st.Mode&0o7777), UID: st.Uid, GID: st.Gid,
		Size: st.Size, Mtime: mtime(st), Links: uint64(st.Nlink), Inode: st.Ino, Target: e.Target,
	}
	if isDevice(st) {
		major, minor := unix.Major(st.Rdev), unix.Minor(st.Rdev)
		d.Major, d.Minor = &major, &minor
	}
	return d
}

var typeNames = map[uint32]string{
	unix.S_IFREG: "file", unix.S_IFDIR: "directory", unix.S_IFLNK: "symlink", unix.S_IFCHR: "character device",
	unix.S_IFBLK: "block device", unix.S_IFIFO: "fifo", unix.S_IFSOCK: "socket",
}
