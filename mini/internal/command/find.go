// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// finder is one run of find: its expression is a tree of functions.
type finder struct {
	call               *Call
	minDepth, maxDepth int
	depthFirst, oneFS  bool
	follow             bool
	action             bool // the expression prints or acts by itself
	expression         predicate
	users, groups      *names
	batches            []*findBatch // of -exec … +
	prune, quit        bool
}

// visit is a file as the expression sees it.
type visit struct {
	path  string
	st    unix.Stat_t
	depth int
}

type predicate func(*visit) bool

func find(c *Call) int {
	f := &finder{call: c, maxDepth: 1 << 30, users: passwd(), groups: groups()}
	args := c.Args
	for len(args) > 0 && (args[0] == "-L" || args[0] == "-P" || args[0] == "-H") {
		f.follow = args[0] == "-L"
		args = args[1:]
	}
	var roots []string
	for len(args) > 0 && !startsExpression(args[0]) {
		roots, args = append(roots, args[0]), args[1:]
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	p := &findParser{finder: f, args: args}
	expression, err := p.parse()
	if err != nil {
		return c.usage("%v", err)
	}
	f.expression = expression
	for _, root := range roots {
		f.walk(root, 0, 0)
	}
	for _, batch := range f.batches {
		batch.run(c)
	}
	return c.status
}

func startsExpression(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' || arg == "(" || arg == "!" || arg == ")"
}

func (f *finder) walk(path string, depth int, device uint64) {
	v := &visit{path: path, depth: depth}
	err := unix.Lstat(path, &v.st)
	if f.follow && err == nil {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil {
			v.st = st
		}
	}
	if err != nil {
		f.call.fail(path, err)
		return
	}
	if f.quit || f.oneFS && depth > 0 && v.st.Dev != device {
		return
	}
	f.prune = false
	if !f.depthFirst {
		f.test(v)
	}
	if v.st.Mode&unix.S_IFMT == unix.S_IFDIR && depth < f.maxDepth && !(f.prune && !f.depthFirst) {
		f.beneath(path, depth, v.st.Dev)
	}
	if f.depthFirst {
		f.test(v)
	}
}

func (f *finder) beneath(dir string, depth int, device uint64) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		f.call.fail(dir, err)
	}
	for _, entry := range entries {
		f.walk(strings.TrimSuffix(dir, "/")+"/"+entry.Name(), depth+1, device)
	}
}

func (f *finder) test(v *visit) {
	if v.depth < f.minDepth || f.quit {
		return
	}
	if f.expression(v) && !f.action {
		fmt.Fprintln(f.call.Out, v.path)
	}
}

// findBatch collects the names for one -exec … {} +.
type findBatch struct {
	command, names []string
	size           int
}

// batchBytes keeps well under what execve takes (execve(2), "Limits on size").
const batchBytes = 100 << 10

func (b *findBatch) add(c *Call, name string) {
	b.names = append(b.names, name)
	if b.size += len(name) + 1; b.size > batchBytes {
		b.run(c)
	}
}

func (b *findBatch) run(c *Call) {
	if len(b.names) == 0 {
		return
	}
	if runProgram(c, append(append([]string{}, b.command...), b.names...)) != 0 {
		c.status = 1
	}
	b.names, b.size = nil, 0
}

func (f *finder) printf(format string) predicate {
	text, _ := unescape(format, true)
	return func(v *visit) bool {
		f.call.Out.WriteString(expandFormat(text, func(verb string) string { return f.printfField(v, verb) }))
		return true
	}
}

func (f *finder) printfField(v *visit, verb string) string {
	switch verb {
	case "p":
		return v.path
	case "f":
		return filepath.Base(v.path)
	case "h":
		return filepath.Dir(v.path)
	case "d":
		return fmt.Sprint(v.depth)
	case "m":
		return statField(v.path, &v.st, "a")
	case "M":
		return modeString(v.st.Mode)
	case "U":
		return fmt.Sprint(v.st.Uid)
	case "G":
		return fmt.Sprint(v.st.Gid)
	case "u":
		return f.users.name(v.st.Uid)
	case "g":
		return f.groups.name(v.st.Gid)
	case "l":
		target, _ := os.Readlink(v.path)
		return target
	case "n":
		return fmt.Sprint(v.st.Nlink)
	case "y":
		return strings.Replace(modeString(v.st.Mode)[:1], "-", "f", 1)
	case "T@":
		return fmt.Sprint(v.st.Mtim.Sec)
	}
	return statField(v.path, &v.st, verb)
}
