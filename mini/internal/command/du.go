// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// du counts the blocks of trees; a file with several links counts once.
func du(c *Call) int {
	opts, ok := c.parse("sakmhcbxd:lH", "summarize=s", "all=a", "human-readable=h", "total=c", "bytes=b", "max-depth=d", "one-file-system=x", "apparent-size=l")
	if !ok {
		return 1
	}
	depth, err := opts.number('d', 1<<30)
	if err != nil {
		return c.usage("%v", err)
	}
	if opts.has("s") {
		depth = 0
	}
	if len(c.Args) == 0 {
		c.Args = []string{"."}
	}
	d := &usage{call: c, opts: opts, depth: depth, seen: map[[2]uint64]bool{}}
	var total int64
	for _, name := range c.Args {
		total += d.walk(name, 0, 0)
	}
	if opts.has("c") {
		d.print(total, "total")
	}
	return c.status
}

type usage struct {
	call  *Call
	opts  options
	depth int
	seen  map[[2]uint64]bool
}

func (d *usage) walk(name string, level int, device uint64) (total int64) {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		d.call.fail(name, err)
		return 0
	}
	key := [2]uint64{st.Dev, st.Ino}
	if d.opts.has("x") && level > 0 && st.Dev != device || d.seen[key] {
		return 0
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	d.seen[key] = st.Nlink > 1 || isDir
	total = st.Blocks * 512
	if d.opts.has("bl") {
		total = st.Size
	}
	if isDir {
		entries, err := os.ReadDir(name)
		if err != nil {
			d.call.fail(name, err)
		}
		for _, entry := range entries {
			total += d.walk(path.Join(name, entry.Name()), level+1, st.Dev)
		}
	}
	if level <= d.depth && (isDir || d.opts.has("a") || level == 0) {
		d.print(total, name)
	}
	return total
}

func (d *usage) print(total int64, name string) {
	unit := int64(1024)
	text := ""
	switch d.opts.last("hkmb") {
	case 'h':
		text = humanSize(total)
	case 'm':
		unit = 1 << 20
	case 'b':
		unit = 1
	}
	if text == "" {
		text = strconv.FormatInt((total+unit-1)/unit, 10)
	}
	fmt.Fprintf(d.call.Out, "%s\t%s\n", text, name)
}
