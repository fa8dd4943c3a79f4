// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"strata/internal/cli"
	"strata/internal/engine"
	"strata/internal/overlay"
)

func newDiffCommand() *cli.Command {
	format := "table"
	c := &cli.Command{
		Use:   "diff [OPTIONS] CONTAINER",
		Short: "List what a container changed: A added, C changed, D deleted",
		Min:   1, Max: 1,
		Run: func(args []string) error {
			print := printChange
			switch format {
			case "json":
				print = printChangeJSON
			case "table":
			default:
				return usage(fmt.Errorf("diff: --format %s: it is table or json", format))
			}
			w := bufio.NewWriterSize(os.Stdout, 64<<10)
			err := withEngine(func(e *engine.Engine) error {
				return e.Diff(args[0], func(c *overlay.Change) error { return print(w, c) })
			})
			if flushErr := w.Flush(); err == nil {
				err = flushErr
			}
			return err
		},
		Complete: completeContainers,
	}
	c.Flags().StringVar(&format, "format", "", "FORMAT", "output: table, or json with what changed and the sizes")
	return c
}

func printChange(w *bufio.Writer, c *overlay.Change) error {
	w.WriteByte(c.Kind)
	w.WriteByte(' ')
	w.WriteString(c.Path)
	return w.WriteByte('\n')
}

// changeDocument is one line of JSON. Sizes are in bytes, of regular files and
// links only.
type changeDocument struct {
	Kind    string
	Path    string
	Changed []overlay.Aspect `json:",omitempty"` // of a C: type, mode, owner, times, xattrs, content
	Size    *int64           `json:",omitempty"`
	OldSize *int64           `json:",omitempty"`
}

func printChangeJSON(w *bufio.Writer, c *overlay.Change) error {
	changed, err := c.What()
	if err != nil {
		return err
	}
	now, before, err := c.Stat()
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(changeDocument{string(c.Kind), c.Path, changed, sizeOf(now), sizeOf(before)})
}

func sizeOf(st *unix.Stat_t) *int64 {
	if st == nil {
		return nil
	}
	if t := st.Mode & unix.S_IFMT; t != unix.S_IFREG && t != unix.S_IFLNK {
		return nil
	}
	return &st.Size
}
